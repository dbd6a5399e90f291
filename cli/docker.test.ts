// The real docker CLI and skein, asked the same of the same fake agent, print the same. Skipped where
// there is no docker CLI (it is a client only: no daemon is needed or started); where it is of another
// series, only exit codes are compared.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, test } from "vitest";
import { hasDocker, saysTheSameWords } from "../test/contract/docker-client.js";
import { type Exchange, FakeAgent } from "./testing/fake-agent.js";
import { type RunResult, run } from "./testing/run.js";

const execFileAsync = promisify(execFile);

function recorded(name: string): readonly Exchange[] {
  const path = join(import.meta.dirname, "testdata", `${name}.json`);
  return JSON.parse(readFileSync(path, "utf8")).exchanges;
}

/** One answer for each path, whatever the question after the "?". */
const exchanges: readonly Exchange[] = [
  ...recorded("network-ls-fresh"),
  ...recorded("network-inspect-containers-manager"),
  ...recorded("network-inspect-missing"),
  ...recorded("node-inspect-self"),
  ...recorded("node-ls-second-manager"),
  ...recorded("node-inspect-pretty-worker"),
  ...recorded("node-inspect-missing"),
  ...recorded("ps-with-tasks"),
  ...recorded("version"),
  ...recorded("events-swarm"),
].filter((one, i, all) => all.findIndex((other) => key(other) === key(one)) === i);

function key(one: Exchange): string {
  return `${one.method} ${one.path.split("?")[0]}`;
}

async function docker(words: readonly string[], socket: string): Promise<RunResult> {
  const env = { ...process.env, DOCKER_HOST: `unix://${socket}`, TZ: "UTC", NO_COLOR: "1" };
  try {
    const { stdout, stderr } = await execFileAsync("docker", [...words], { env });
    return { stdout, stderr, exit: 0 };
  } catch (error) {
    const failed = error as { stdout: string; stderr: string; code: number };
    return { stdout: failed.stdout, stderr: failed.stderr, exit: failed.code };
  }
}

const sameOutput: readonly (readonly string[])[] = [
  ["network", "ls"],
  ["network", "list", "--no-trunc"],
  ["network", "ls", "-q"],
  ["network", "ls", "--format", "json"],
  ["network", "ls", "--format", "table {{.ID}}\\t{{.Name}}\\t{{.Internal}}"],
  ["network", "ls", "--format", "table {{upper .Name}}\\t{{json .Driver}}\\t{{.CreatedAt}}"],
  ["network", "ls", "--format", "{{json .}}"],
  ["network", "ls", "--format", "{{.Name}} {{.IPv6}} {{.Labels}} {{.CreatedAt}}"],
  [
    "network",
    "ls",
    "--format",
    '{{if eq .Driver "overlay"}}*{{else if eq .Name "host"}}h{{else}}-{{end}}{{.Name}}',
  ],
  ["network", "ls", "--format", '{{printf "%-12s|%5s|%q" .Name .Scope .Driver}}'],
  ["network", "ls", "--format", '{{.Name | printf "%s-%s" "x" | upper}}'],
  ["network", "ls", "--format", '{{split .Name "_"}} {{join (split .Name "_") "/"}} {{len .Name}}'],
  [
    "network",
    "ls",
    "--format",
    "{{$n := .Name}}{{with .Scope}}{{.}}:{{$n}}{{end}}  {{- /* no */ -}}  !",
  ],
  [
    "network",
    "ls",
    "--format",
    "{{title .Name}} {{lower .ID}} {{truncate .Name 3}} {{pad .Name 1 2}}|",
  ],
  [
    "network",
    "ls",
    "--format",
    '{{and .Name ""}}{{or "" .Name}}{{not .Name}} {{ne .Name "x"}} {{lt 1 2}}',
  ],
  ["network", "ls", "--format", '{{slice .Name 1 3}} {{index (split .Name "o") 0}}'],
  ["network", "ls", "--format", "{{.Nope}}"],
  ["network", "ls", "--format", "{{.Name"],
  ["network", "ls", "--format", "{{nosuch .Name}}"],
  ["network", "ls", "--format", "{{if .Name}}x"],
  ["network", "ls", "--format", "{{end}}"],
  ["network", "ls", "--format", "{{}}"],
  ["network", "ls", "--format", '{{"open}}'],
  ["network", "ls", "--format", "{{.Name}} {{$x}}"],
  ["network", "ls", "--format", "{{.Name | }}"],
  ["network", "ls", "--format", "{{index .Name}}{{len 3}}"],
  ["network", "ls", "--format", "{{eq .Name 3}}"],
  ["network", "ls", "--format", "{{.Name.Foo}}"],
  ["network", "inspect", "overnet"],
  ["network", "inspect", "overnet", "nosuch"],
  ["network", "inspect", "nosuch"],
  ["network", "inspect", "-f", "{{.Name}}", "nosuch"],
  [
    "network",
    "inspect",
    "-f",
    "{{.Name}} {{.ID}} {{.Scope}} {{.Attachable}} {{.Created}}",
    "overnet",
  ],
  [
    "network",
    "inspect",
    "-f",
    "{{range .IPAM.Config}}{{.Subnet}} via {{.Gateway}}{{end}}",
    "overnet",
  ],
  [
    "network",
    "inspect",
    "-f",
    "{{range $id, $c := .Containers}}{{$c.Name}}={{$c.IPv4Address}};{{end}}",
    "overnet",
  ],
  ["network", "inspect", "-f", "{{json .IPAM}} {{json .Options}} {{json .Name}}", "overnet"],
  [
    "network",
    "inspect",
    "-f",
    '{{index .Options "com.docker.network.driver.overlay.vxlanid_list"}}',
    "overnet",
  ],
  ["network", "inspect", "-f", "{{(index .IPAM.Config 0).Subnet}} {{len .Containers}}", "overnet"],
  ["network", "inspect", "-f", "{{.Options}} {{.Labels}}", "overnet"],
  ["network", "inspect", "--format", "json", "overnet"],
  ["network", "inspect", "-f", "{{.Nope}}", "overnet"],
  ["network", "inspect", "-f", "{{.Na", "overnet"],
  ["node", "ls"],
  ["node", "ls", "-q"],
  ["node", "ls", "--format", "json"],
  ["node", "ls", "--format", "table {{.ID}}\\t{{.Self}}\\t{{.TLSStatus}}"],
  ["node", "ls", "--format", "{{.Foo}}"],
  ["node", "inspect", "self"],
  ["node", "inspect", "self", "h2"],
  ["node", "inspect", "--pretty", "self"],
  ["node", "inspect", "--pretty", "self", "h2"],
  ["node", "inspect", "--pretty", "-f", "{{.ID}}", "self"],
  [
    "node",
    "inspect",
    "-f",
    "{{.ID}} {{.Spec.Role}} {{.Status.Addr}} {{.ManagerStatus.Leader}}",
    "self",
  ],
  [
    "node",
    "inspect",
    "-f",
    "{{.CreatedAt}} {{.Description.Resources.MemoryBytes}} {{.Version.Index}}",
    "self",
  ],
  [
    "node",
    "inspect",
    "-f",
    "{{range .Description.Engine.Plugins}}{{.Type}}/{{.Name}} {{end}}",
    "self",
  ],
  ["node", "inspect", "nosuch"],
  ["ps"],
  ["ps", "-q"],
  ["ps", "--no-trunc"],
  ["ps", "--format", "json"],
  ["ps", "--format", "table {{.Names}}\\t{{.Status}}\\t{{.Networks}}\\t{{.Labels}}\\t{{.State}}"],
  ["ps", "--format", "{{.ID}} {{.CreatedAt}} {{.Ports}} {{.Mounts}}"],
  ["container", "ls", "-a"],
  ["info", "-f", "{{.Swarm.NodeID}} {{.NCPU}} {{.Name}} {{.Swarm.ControlAvailable}}"],
  ["info", "-f", "{{json .Swarm}}"],
  ["info", "-f", "{{json .Swarm.RemoteManagers}}"],
  ["info", "-f", "{{.N"],
  ["version", "-f", "{{.Server.Version}} {{.Server.APIVersion}} {{.Server.Os}}"],
  ["events", "--since", "2026-11-21T03:00:00", "--until", "1795230710"],
  ["events", "--until", "1795230710", "--format", "json"],
  [
    "events",
    "--until",
    "1795230710",
    "--format",
    "{{.Type}} {{.Action}} {{.Actor.ID}} {{.Actor.Attributes.name}}",
  ],
];

/** Asked without a daemon: what is wrong with the command line is seen before anything is sent. */
const sameRefusals: readonly (readonly string[])[] = [
  ["network", "nosuch"],
  ["swarm", "nosuch"],
  ["nosuch"],
  ["network", "ls", "--bogus"],
  ["network", "ls", "-z"],
  ["network", "ls", "-qz"],
  ["network", "ls", "extra"],
  ["network", "ls", "--format"],
  ["network", "ls", "--filter", "foo"],
  ["network", "create"],
  ["network", "create", "a", "b"],
  ["network", "create", "--opt"],
  ["network", "create", "--internal=x", "n"],
  ["network", "create", "--subnet", "10.0.0.0/8", "--subnet", "10.1.0.0/16", "n"],
  ["network", "create", "--gateway", "10.0.0.1", "n"],
  ["network", "create", "--subnet", "10.0.0.0/24", "--ip-range", "10.1.0.0/25", "n"],
  ["network", "rm"],
  ["network", "connect", "a"],
  ["node", "inspect"],
  ["node", "inspect", "--pretty=x", "self"],
  ["swarm", "join-token"],
  ["swarm", "join-token", "nosuch"],
  ["swarm", "init", "--cert-expiry", "5"],
  ["swarm", "init", "--cert-expiry", "5x"],
  ["swarm", "init", "--cert-expiry", "x"],
  ["swarm", "init", "--data-path-port", "99999999999"],
  ["swarm", "init", "--data-path-port", "-1"],
  ["swarm", "init", "--default-addr-pool", "nosuch"],
  ["swarm", "init", "--availability", "nosuch"],
  ["stop"],
  ["stop", "-t", "x", "c"],
  ["stop", "-tx", "c"],
  ["exec", "c"],
  ["exec", "-e"],
  ["rename", "a"],
  ["logs"],
  ["events", "--since", "nosuch"],
  ["inspect"],
  ["swarm", "ca", "--cert-expiry", "1h"],
];

describe.skipIf(!hasDocker)("skein and docker", () => {
  let agent: FakeAgent;
  beforeAll(async () => {
    agent = await FakeAgent.start({ exchanges });
  });
  afterAll(() => agent.stop());

  for (const words of sameOutput) {
    test(`print the same for: ${words.join(" ")}`, async () => {
      const want = await docker(words, agent.socketPath);
      const got = await run(words, { socket: agent.socketPath });
      assert.equal(got.exit, want.exit);
      if (!saysTheSameWords) return;
      assert.equal(got.stdout, want.stdout);
      assert.equal(got.stderr, want.stderr);
    });
  }

  for (const words of sameRefusals) {
    test(`refuse the same: ${words.join(" ")}`, async () => {
      const want = await docker(words, agent.socketPath);
      const got = await run(words, { socket: agent.socketPath });
      assert.notEqual(want.exit, 0);
      assert.equal(got.exit, want.exit);
      if (!saysTheSameWords) return;
      const inOurWords = want.stderr.replaceAll(/(?<![\w/.-])docker(:?) (?=['a-z-])/g, "skein$1 ");
      assert.equal(got.stderr, inOurWords);
    });
  }
});
