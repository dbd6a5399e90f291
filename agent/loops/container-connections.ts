// The networks of a container change: a person connects or disconnects it, or the swarm takes an address
// away. How an interface comes and goes is in container-networks.ts.
import { type Refusal, refuse } from "../../common/fault.js";
import type { EndpointWish } from "../seams.js";
import { type EndpointRecord, isOfSwarm } from "../task/life.js";
import { hostnameOf } from "../task/spec.js";
import * as words from "../task/words.js";
import type { ContainerEntry } from "./container-entry.js";
import type { ContainerEvents } from "./container-events.js";
import { connectRunning, disconnectRunning, type NetworkTools } from "./container-networks.js";

export interface ConnectTools extends NetworkTools {
  readonly events: ContainerEvents;
  /** How long the kernel may take to get ready. */
  readonly readyMs: number;
}

export async function connect(
  entry: ContainerEntry,
  wish: EndpointWish,
  tools: ConnectTools,
): Promise<Refusal | undefined> {
  await entry.starting?.done;
  const { record } = entry;
  const { spec } = record;
  if (record.phase === "removing") return words.markedForRemoval(record);
  if (spec.networkMode === "host") return words.onHostNetwork();
  if (spec.networkMode === "container") return words.onSharedNetwork();
  if (spec.networkMode === "none") return words.onNoNetwork();
  if (isOn(entry, wish.network)) {
    return refuse(
      "permission-denied",
      `endpoint with name ${spec.name} already exists in network ${wish.network}`,
    );
  }
  if (record.phase === "running") {
    const signal = AbortSignal.timeout(tools.readyMs);
    const hostname = hostnameOf(record.id, spec);
    const refusal = await connectRunning(entry, wish, tools, hostname, signal);
    if (refusal) return refusal;
    const joined = entry.record.endpoints.at(-1);
    if (joined) tools.events.network("connect", entry.record, joined.id);
  }
  await entry.step({ kind: "wishes", endpoints: [...spec.endpoints, wish] });
  return undefined;
}

export async function disconnect(
  entry: ContainerEntry,
  network: string,
  tools: ConnectTools,
): Promise<Refusal | undefined> {
  await entry.starting?.done;
  const { record } = entry;
  if (record.spec.networkMode === "host") return words.onHostNetwork();
  const endpoint = record.endpoints.find((each) => isAbout(each, network));
  const wishes = record.spec.endpoints.filter(
    (wish) => wish.network !== network && wish !== endpoint?.wish,
  );
  if (wishes.length === record.spec.endpoints.length && endpoint === undefined) {
    return words.notConnected(record, network);
  }
  if (record.phase === "running" && endpoint !== undefined) {
    await disconnectRunning(entry, endpoint.id, tools);
    tools.events.network("disconnect", record, endpoint.id);
  }
  await entry.step({ kind: "wishes", endpoints: wishes });
  return undefined;
}

/** The node left the swarm: interfaces go, processes stay. */
export async function networksGone(
  entries: readonly ContainerEntry[],
  tools: ConnectTools,
): Promise<void> {
  for (const entry of entries) {
    const { phase, endpoints } = entry.record;
    const ofSwarm = endpoints.filter(isOfSwarm);
    if (phase !== "running" || ofSwarm.length === 0) continue;
    await Promise.all(ofSwarm.map(({ id }) => tools.placing.disown(id)));
    tools.events.disconnected({ ...entry.record, endpoints: ofSwarm });
    await entry.step({ kind: "released" });
    await entry.step({
      kind: "trouble",
      error: "its networks are gone: this node left the swarm",
    });
  }
}

/**
 * The endpoints of this node that the swarm knows at `revision`. One of ours that is missing, and is
 * not newer than that, was taken away (the node or the network was removed by force).
 */
export async function addressesTold(
  entries: readonly ContainerEntry[],
  revision: number,
  endpointIds: ReadonlySet<string>,
): Promise<void> {
  for (const entry of entries) {
    if (entry.record.phase !== "running" || entry.record.error !== "") continue;
    const lost = entry.record.endpoints.filter(isOfSwarm).find(({ id, given }) => {
      const madeAt = given?.endpoint.meta?.createdVersion ?? Number.POSITIVE_INFINITY;
      return madeAt <= revision && !endpointIds.has(id);
    });
    if (lost === undefined) continue;
    const error = `the swarm no longer knows its address on network ${lost.wish.network}; restart it to get another`;
    await entry.step({ kind: "trouble", error });
  }
}

function isOn(entry: ContainerEntry, network: string): boolean {
  return (
    entry.record.spec.endpoints.some((wish) => wish.network === network) ||
    entry.record.endpoints.some((each) => isAbout(each, network))
  );
}

function isAbout({ wish, given, via }: EndpointRecord, network: string): boolean {
  if (via === "gateway") return false;
  return [wish.network, given?.network.id, given?.network.spec?.name].includes(network);
}
