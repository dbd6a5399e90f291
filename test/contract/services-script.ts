// The transcripts of services, secrets, configs and stacks, in the order in which they were recorded, for
// any stage. Each step's name is a transcript's.
//
// Not here, for they need what comes in a later release (names, VIPs and the mesh: ping-service-*, dns-*,
// curl-service-*, curl-published-ingress-*), a terminal (service-create-tty, service-scale-tty,
// service-update-tty), a lost node (service-ps-node-down, service-ps-overlapping), or what lasts for a moment
// only (service-inspect-updating, service-inspect-pretty-updating, service-inspect-pretty-rolled-back,
// node-ps-drained).
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Ran } from "./api-lab.js";
import { type Stage, speakerTo } from "./says.js";
import type { Transcript } from "./transcript.js";

/** Files of the transcripts' /srv, in a folder of their own. */
export class Files {
  folder = "";

  async make(): Promise<void> {
    this.folder = await mkdtemp(join(tmpdir(), "skein-stack-"));
    const files = { "stack.yml": STACK, "bad.yml": BAD, token: "tok\n", "site.conf": "hello\n" };
    for (const [name, text] of Object.entries(files))
      await writeFile(join(this.folder, name), text);
  }

  async remove(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }

  here(args: readonly string[]): readonly string[] {
    return args.map((arg) => arg.replace(/^\/srv\//, `${this.folder}/`));
  }

  there(text: string): string {
    return this.folder === "" ? text : text.replaceAll(this.folder, "/srv");
  }
}

const STACK = `version: "3.8"
services:
  web:
    image: alpine
    command: ["httpd", "-f", "-p", "80"]
    networks: [front]
    secrets: [token]
    configs:
      - source: site
        target: /site.conf
    deploy:
      replicas: 2
      update_config: { parallelism: 1, delay: 1s }
      restart_policy: { condition: on-failure }
  db:
    image: alpine
    command: ["sleep", "1d"]
    networks: [back, front]
    deploy:
      replicas: 1
      placement:
        constraints: ["node.role == manager"]
networks:
  front: { driver: overlay, attachable: true }
  back: {}
secrets:
  token: { file: ./token }
configs:
  site: { file: ./site.conf }
`;
const BAD = 'version: "3.8"\nservices:\n  web:\n    imagee: alpine\n';

// What of a table or a progress is another on every run: times, the nodes that were chosen, the steps on
// the way, and so the width of columns.
const LOOSE: readonly (readonly [RegExp, string])[] = [
  [/^(overall progress|\d+\/\d+|rollback|verify)\b.*\n?/gm, ""],
  [/\b(\d+|less than an?|about an?) (second|minute)s?( ago)?/gi, "<while> ago"],
  [/( |@|"Node":")h[123](?=[ "]|\s+\|)/g, "$1<node>"],
  [/\.[0-9a-z]{12}(?=@)/g, ".<short>"],
  [/"ID":"[0-9a-z]{12}"/g, '"ID":"<short>"'],
  [/^[0-9a-z]{12}$/gm, "<short>"],
  [/^( ?)[0-9a-z]{12} +/gm, "$1<short> "],
  [/^<(id|short)> +/gm, "<$1> "],
  [/hello from [0-9a-f]{12}/g, "hello from <hex>"],
  [/\b10\.\d+\.\d+\.\d+/g, "<addr>"],
  [/("PID": |vxlanid_list": ")\d+/g, "$1<n>"],
  [/\b[A-Z][a-z]{2} \d\d \d\d:\d\d(?= \S+$)/gm, "<date>"],
  [/ {2,}/g, "  "],
  [/ +$/gm, ""],
];

/** On top of what `normalised` does. */
export function loosened(text: string): string {
  return LOOSE.reduce((now, [pattern, by]) => now.replace(pattern, by), text);
}

// Lines that come from several nodes, or from a map of the CLI's.
const UNORDERED = /^(service-logs|service-ls-quiet|stack-(deploy|rm))/;

/** What is left to chance in this one. */
export function comparableLines({ name }: Transcript, text: string): string {
  // Which tasks of which services a node has is the scheduler's choice.
  if (name === "node-ps-other") return text.split("\n")[0] ?? "";
  if (name === "service-ps-filter") return text.replace(/websvc\.\d/, "websvc.<n>");
  return UNORDERED.test(name) ? text.split("\n").sort().join("\n") : text;
}

export interface ServicesStage extends Stage {
  /** A command that no transcript has. */
  docker(...args: readonly string[]): Promise<Ran>;
}

/** `docker` commands that bring the swarm to where the transcripts are; h1 and h3 are managers, h2 a worker. */
export function servicesScript(stage: ServicesStage): void {
  const { says, shows } = speakerTo(stage);
  const given = (...args: readonly string[]) =>
    test(`given: docker ${args.join(" ")}`, async () => {
      const { exitCode, stderr } = await stage.docker(...args);
      expect(exitCode, stderr).toBe(0);
    }, 30_000);

  describe("services are made", () => {
    given("network", "create", "-d", "overlay", "--attachable", "overnet");
    given("network", "create", "-d", "overlay", "--subnet", "10.77.0.0/24", "subn");
    says("service-create");
    given(
      "service",
      "create",
      "-d",
      "--name",
      "ttysvc",
      "--replicas",
      "2",
      "alpine",
      "sleep",
      "1d",
    );
    says("service-create-detach");
    says("service-create-bad-name");
    says("service-create-bad-constraint");
    says("service-create-bad-image-ref");
    says("service-create-no-network");
    says("service-create-local-network");
    says("service-create-global");
    says("service-create-unplaceable");
    says("service-create-no-such-image");
    says("service-create-crashing");
    says("service-create-publish-ingress");
    says("service-create-publish-host");
    says("service-create-dnsrr");
    says("service-create-dnsrr-publish");
    says("service-create-job");
    says("service-create-logger");
    says("service-create-missing-secret");
    test("an event tells of each", async () => {
      const format = "{{.Type}} {{.Action}} {{.Actor.Attributes.name}} {{.Scope}}";
      // The CLI cuts times to seconds: the end of this one.
      const until = String(Math.ceil(Date.now() / 1_000));
      const past = ["events", "--since", "10m", "--until", until, "--filter", "type=service"];
      const { stdout } = await stage.docker(...past, "--format", format);
      const made = stdout.split("\n").filter((line) => line.includes(" create "));
      const names = ["myservice", "ttysvc", "websvc", "ln", "glob", "nowhere", "noimg", "crash"];
      expect(made.slice(0, names.length)).toEqual(
        names.map((name) => `service create ${name} swarm`),
      );
    });
  });

  describe("services are looked at", () => {
    shows("service-ls");
    shows("service-ls-format-json");
    shows("service-ls-quiet");
    shows("service-ps");
    shows("service-ps-several");
    shows("service-ps-crashing");
    shows("service-ps-filter");
    shows("service-ps-no-such-image");
    shows("service-ps-no-trunc");
    shows("service-ps-format-json");
    shows("service-ps-global");
    says("service-ps-missing");
    shows("node-ps-other");
    says("service-inspect-full");
    says("service-inspect-pretty");
    says("service-inspect-pretty-global");
    says("service-inspect-pretty-publish");
    says("service-inspect-missing");
    shows("inspect-task");
    shows("service-logs");
    shows("service-logs-raw");
    shows("service-logs-timestamps-tail");
    says("service-logs-missing");
  });

  describe("services are changed", () => {
    says("service-scale");
    says("service-scale-detach-two");
    says("service-scale-global");
    says("service-scale-missing");
    says("service-scale-negative");
    says("service-scale-zero");
    shows("service-ls-after-scale");
    says("service-update", 60_000);
    given("service", "update", "--env-add", "B=3", "websvc");
    says("service-update-detach-image");
    shows("service-ps-after-update", 40_000);
    says("service-update-missing");
    says("service-rollback-none");
    says("service-update-nothing");
    says("service-rollback", 60_000);
    says("service-rollback-again");
    says("service-update-bad-image-pause");
    says("service-inspect-pretty-paused");
    says("service-update-bad-image-rollback");
    says("service-update-publish-add");
    says("service-update-network-add");
    says("service-update-force");
    given("node", "update", "--label-add", "zone=mars", "h2");
    shows("service-ps-now-placeable");
  });

  describe("secrets and configs", () => {
    // Its port is wanted below: until then its tasks have their ten seconds.
    given("service", "rm", "pubh");
    says("secret-create");
    says("secret-create-duplicate");
    says("secret-create-bad-name");
    says("secret-create-empty");
    says("secret-create-label");
    says("secret-ls-filter");
    says("secret-inspect");
    says("secret-inspect-pretty");
    says("config-create");
    says("config-create-duplicate");
    says("config-ls");
    says("config-inspect-pretty");
    says("service-create-secret-config");
    shows("service-logs-secret");
    says("config-rm-in-use");
    says("service-rm-withsec");
    says("config-rm");
    says("secret-rm");
  });

  describe("stacks", () => {
    says("stack-config");
    says("stack-deploy");
    shows("stack-services");
    shows("stack-ps");
    says("stack-deploy-again");
    says("stack-deploy-prune");
    says("stack-deploy-bad");
    says("stack-ps-missing");
    says("stack-services-missing");
    says("stack-rm");
    says("stack-rm-missing");
  });

  describe("it all goes", () => {
    says("service-rm");
    says("service-rm-several");
  });

  describe("jobs", () => {
    // Without -d: the CLI looks for the tasks of slots 0 to N-1, and waits until they are complete.
    const job = ["--replicas", "3", "--max-concurrent", "2", "--name", "waited", "alpine", "true"];
    given("service", "create", "--mode", "replicated-job", ...job);
    given("service", "scale", "waited=4");
    given("service", "create", "--mode", "global-job", "--name", "everywhere", "alpine", "true");
    given("service", "rm", "waited", "everywhere");
  });

  describe("ports", () => {
    const serve = ["alpine", "sh", "-c", "hostname > /tmp/index.html; httpd -f -p 80 -h /tmp"];
    const make = ["service", "create", "-d", "--name"];
    given(
      ...make,
      "webh",
      "--mode",
      "global",
      "--publish",
      "mode=host,target=80,published=8081",
      ...serve,
    );
    given(...make, "web", "--network", "overnet", "--replicas", "2", "-p", "8080:80", ...serve);
    says("service-create-network-alias");
    shows("service-ps-host-port");
    says("service-inspect-web");
  });
}
