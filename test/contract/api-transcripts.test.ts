// The real docker CLI against the local API, in the order of the transcripts of a real dockerd; the swarm
// behind the API is a fake, so what is compared is what the API says: words, shapes, exit codes.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Role } from "../../proto/gen/types.js";
import { meant } from "./api-differences.js";
import { type ApiLab, apiLab } from "./api-lab.js";
import { speakerTo } from "./says.js";
import { normalised, type Transcript } from "./transcript.js";

// dockerd 20.10 of the transcripts speaks 1.41: what newer versions add is compared in api-shapes.test.ts.
const API_VERSION = "1.41";

let lab: ApiLab;
beforeAll(async () => {
  lab = await apiLab();
});
afterAll(async () => {
  await lab.close();
});

/** The tokens of the transcripts' swarm become those of this one; images become the process runtime. */
async function argsOf({ args, name }: Transcript): Promise<readonly string[]> {
  const answer = await lab.hosts.h1.http("GET", "/swarm");
  const tokens = (answer.json as { JoinTokens?: { Worker: string; Manager: string } }).JoinTokens;
  return args.map((arg) => {
    if (arg === "alpine") return "process";
    if (!arg.startsWith("SWMTKN-1-") || !tokens) return arg;
    if (name === "swarm-join-manager") return tokens.Manager;
    if (arg.endsWith("-0000000000000000000000000"))
      return tokens.Worker.replace(/[^-]*$/, "0".repeat(25));
    return arg === "SWMTKN-1-bad" ? arg : tokens.Worker;
  });
}

const { says } = speakerTo({
  run: (host, args, stdin) =>
    lab.hosts[host as "h1"].docker(args, { apiVersion: API_VERSION, stdin }),
  argsOf,
  meant,
  comparable: normalised,
  patienceMs: 0,
});

describe("a node that is in no swarm", () => {
  says("swarm-join-token-no-swarm");
  says("swarm-update-no-swarm");
  says("swarm-leave-no-swarm");
  says("node-ls-no-swarm");
  says("secret-ls-no-swarm");
  says("stack-ls-no-swarm");
  says("swarm-update-nothing");
  says("swarm-init-bad-addr");
  says("info-inactive");
  says("version");
});

describe("a swarm is made and joined", () => {
  says("swarm-init");
  says("swarm-init-again");
  says("swarm-ca");
  says("node-inspect-self");
  says("network-ls-fresh");
  says("swarm-join-bad-token");
  says("swarm-join-wrong-secret");
  says("swarm-join-worker");
  says("swarm-join-again");
  says("swarm-join-token-on-worker");
  says("node-ls-worker");
  says("network-create-on-worker");
  says("node-ls-manager");
  says("swarm-join-manager");
  says("node-ls-two-managers");
  says("node-ls-second-manager");
  says("node-ls-format");
  says("node-ls-format-json");
  says("node-inspect-missing");
  says("node-inspect-pretty-worker");
  says("info-manager");
  says("info-manager-json");
  says("info-worker");
  says("swarm-join-token-quiet");
});

describe("networks", () => {
  test("what comes first takes a subnet that the transcripts' swarm has taken too", () => {
    lab.hosts.h1.node.swarm?.addNetwork({ name: "filler" });
  });
  says("network-create-attachable");
  says("network-create-encrypted");
  says("network-create-internal");
  says("network-create-mtu-vni");
  says("network-create-overlay");
  says("network-create-subnet");
  says("network-create-ipv6");
  says("network-create-ip-range");
  says("network-create-two-subnets");
  says("network-create-host-bits");
  says("network-create-bad-subnet");
  says("network-create-bad-subnet-text");
  says("network-create-bad-name");
  says("network-create-bad-driver");
  says("network-create-gateway-outside");
  says("network-create-no-name");
  says("network-create-ingress-second");
  test("the filler goes", () => {
    const networks = lab.hosts.h1.node.swarm?.networks;
    networks?.splice(
      networks.findIndex(({ spec }) => spec?.name === "filler"),
      1,
    );
  });
  says("network-inspect-options");
  says("network-inspect-missing");
  says("network-inspect-on-worker-before");
  says("network-ls-filter-label");
  says("network-ls-filter");
  says("network-rm-ingress");
});

describe("containers on them", () => {
  says("container-run-attach-manager");
  says("container-run-attach-worker");
  says("container-run-alias");
  says("network-inspect-containers-manager");
  says("network-inspect-containers-verbose");
  says("container-run-nonattachable");
  says("container-run-no-network");
  says("container-run-two-networks");
  says("network-disconnect-again");
  says("container-stop");
  says("network-inspect-after-stop");
  says("container-start");
  says("container-restart");
  says("network-rm-in-use");
});

describe("nodes are changed", () => {
  says("node-update-drain");
  says("node-ls-drain");
  says("node-update-active");
  says("node-update-pause");
  says("node-update-label");
  says("node-update-label-rm");
  says("node-update-active");
  says("node-update-bad-availability");
  says("node-promote");
  says("node-promote-again");
  says("node-promote-missing");
  says("node-ls-three-managers");
  says("node-demote");
  says("node-demote-again");
  says("node-demote-last");
  says("node-ls-after-demote");
});

describe("the swarm is changed", () => {
  says("swarm-update");
  says("info-manager-after-update");
  says("swarm-join-token-rotate");
  says("swarm-leave-last-manager");
});

describe("services, secrets and configs are not there", () => {
  says("service-inspect-missing");
  says("service-ps-missing");
  says("service-update-missing");
  says("service-logs-missing");
  says("stack-rm-missing");
  says("stack-services-missing");
  says("stack-ps-missing");
});

describe("it all goes", () => {
  says("swarm-leave-worker");
  test("the manager has heard of it", () => {
    expect(lab.hosts.h1.node.swarm?.nodes.map((node) => node.role)).toContain(Role.WORKER);
  });
  says("node-rm");
  says("node-rm-force-up");
  says("network-prune");
  says("network-rm");
  says("swarm-leave-last-manager-force");
  says("network-ls-after-leave");
});
