// What a node says of itself to the swarm.
import { SKEIN_VERSION } from "../../common/version.js";
import type { NodeDescription, NodeResource, Wireguard } from "../../proto/gen/types.js";
import type { HostFacts, MachineFacts } from "../seams.js";
import { noted } from "./data-path-notes.js";

export interface NodeFacts {
  readonly hostname: string;
  readonly facts: MachineFacts;
  readonly labels: Readonly<Record<string, string>>;
  readonly genericResources: readonly NodeResource[];
  readonly dataPath: HostFacts["dataPath"];
}

interface Plugin {
  readonly type: string;
  readonly name: string;
}

/** As Docker's, what this node can do; the scheduler places by it. */
const PLUGINS = [
  ["Log", "json-file"],
  ["Log", "none"],
  ["Network", "bridge"],
  ["Network", "host"],
  ["Network", "null"],
  ["Network", "overlay"],
  ["Volume", "local"],
].map(([type = "", name = ""]): Plugin => ({ type, name }));

/** `vtep`: its data path address. */
export function describeNode(
  { hostname, facts, labels, genericResources, dataPath }: NodeFacts,
  vtep: string,
  runtimes: readonly Plugin[],
  wireguard: Wireguard,
): NodeDescription {
  return {
    hostname,
    platform: platformOf(facts),
    nanoCpus: facts.cpus * 1e9,
    memoryBytes: facts.memoryBytes,
    engineVersion: SKEIN_VERSION,
    engineLabels: { ...labels },
    plugins: [...PLUGINS, ...runtimes],
    kernelVersion: facts.kernelVersion,
    genericResources,
    wireguard,
    dataPath: { ...dataPath, why: [...noted(dataPath, vtep, []).why] },
  };
}

export function platformOf({ architecture }: MachineFacts) {
  return { architecture, os: "linux" };
}
