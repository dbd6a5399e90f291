// The networks of a container: addresses from the swarm, given to the task beforehand, or of this node's
// own networks; and docker_gwbridge as the way out of a container that is on the swarm's networks only.
import type { Clock } from "../../common/clock.js";
import { Fault, faultFields, isRefusal, type Refusal, refuse } from "../../common/fault.js";
import { newSwarmId } from "../../common/ids.js";
import type { Logger } from "../../common/log.js";
import type { Random } from "../../common/random.js";
import { sentenceOf } from "../member/fault-sentence.js";
import type { ContainerSpec, EndpointWish, LocalNetworks, PortBinding } from "../seams.js";
import { type EndpointRecord, isAttached, isOfSwarm } from "../task/life.js";
import { publishedPorts } from "../task/ports.js";
import { hasOwnSandbox } from "../task/spec.js";
import { couldNotAttach, shortId } from "../task/words.js";
import type { ContainerEntry } from "./container-entry.js";
import type { ContainerNames, Endpoints, LocalJoins, Placing } from "./placing.js";
import type { Releases } from "./releases.js";

export interface NetworkTools {
  readonly endpoints: Endpoints;
  readonly placing: Placing;
  readonly releases: Releases;
  readonly localNets: LocalNetworks;
  /** Undefined: this node has no networks of its own. */
  readonly joins: LocalJoins | undefined;
  /** Absent: names are not answered here. */
  readonly names?: ContainerNames | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

// Docker's name for the bridge between swarm networks and the outside.
const GATEWAY_NETWORK = "docker_gwbridge";

export function chooseEndpoints(
  spec: ContainerSpec,
  tools: NetworkTools,
): readonly EndpointRecord[] {
  return spec.endpoints.map((wish, i) => newEndpoint(wish, `eth${i}`, tools));
}

function newEndpoint(
  wish: EndpointWish,
  interfaceName: string,
  tools: NetworkTools,
): EndpointRecord {
  const isLocal = wish.assigned === undefined && tools.localNets.find(wish.network) !== undefined;
  return {
    id: wish.assigned ?? newSwarmId(tools.random),
    wish,
    interfaceName,
    via: isLocal ? "local" : "swarm",
    given: undefined,
  };
}

/**
 * Resolves when every interface is up, or with the first that could not be had. What was given is on disk with
 * the next step: the endpoints' ids are there already, and by them all of it is taken back.
 */
export async function joinAll(
  entry: ContainerEntry,
  tools: NetworkTools,
  hostname: string,
  signal: AbortSignal,
): Promise<Refusal | undefined> {
  const { spec } = entry.record;
  const ports = publishedPorts(spec);
  for (const wanted of entry.record.endpoints.filter(isOfSwarm)) {
    const refusal = await attach(entry, wanted, tools, hostname);
    if (refusal) return refusal;
  }
  // The bridges go by the sandbox, which has to be there.
  const locals = entry.record.endpoints.filter(({ via }) => via === "local");
  let hasGateway = false;
  for (const wanted of locals) {
    const network = tools.localNets.find(wanted.wish.network);
    const gateway: boolean = !hasGateway && network?.spec?.internal !== true;
    hasGateway ||= gateway;
    const refusal = await joinLocal(entry, wanted, tools, hostname, gateway ? ports : [], gateway);
    if (refusal) return refusal;
  }
  if (spec.networkMode === "networks" && !hasGateway) {
    const refusal = await joinGateway(entry, tools, hostname, ports);
    if (refusal) return refusal;
  }
  const ofSwarm = entry.record.endpoints.filter(isOfSwarm);
  await Promise.all(ofSwarm.map(({ id }) => tools.placing.ready(id, signal)));
  return undefined;
}

async function joinGateway(
  entry: ContainerEntry,
  tools: NetworkTools,
  hostname: string,
  ports: readonly PortBinding[],
): Promise<Refusal | undefined> {
  const leadsOut = entry.record.endpoints.some(
    (each) => isOfSwarm(each) && each.given?.network.spec?.internal === false,
  );
  if (!leadsOut || tools.joins === undefined) {
    // dockerd leaves them out without a word.
    return undefined;
  }
  const endpoint: EndpointRecord = {
    id: newSwarmId(tools.random),
    wish: { network: GATEWAY_NETWORK, aliases: [], ipv4: "", ipv6: "" },
    interfaceName: freeInterfaceName(entry.record.endpoints),
    via: "gateway",
    given: undefined,
  };
  entry.note({ kind: "joining", endpoint });
  return joinLocal(entry, endpoint, tools, hostname, ports, true);
}

async function joinLocal(
  entry: ContainerEntry,
  wanted: EndpointRecord,
  tools: NetworkTools,
  hostname: string,
  ports: readonly PortBinding[],
  gateway: boolean,
): Promise<Refusal | undefined> {
  const { id, spec } = entry.record;
  const { network, aliases, ipv4, ipv6 } = wanted.wish;
  if (tools.joins === undefined) {
    return refuse("unavailable", `network ${network}: this node has no networks of its own`);
  }
  const answer = await tools.joins.join({
    endpointId: wanted.id,
    network,
    containerId: id,
    interfaceName: wanted.interfaceName,
    name: spec.name,
    aliases: [...aliases, shortId(id)],
    hostname,
    ipv4,
    ipv6,
    ports,
    gateway,
  });
  if (isRefusal(answer)) return answer;
  entry.note({ kind: "given", endpointId: wanted.id, ...answer });
  return undefined;
}

async function attach(
  entry: ContainerEntry,
  wanted: EndpointRecord,
  tools: NetworkTools,
  hostname: string,
): Promise<Refusal | undefined> {
  const { id } = entry.record;
  const { network } = wanted.wish;
  const given =
    wanted.wish.assigned === undefined
      ? await ask(entry, wanted, tools, hostname)
      : (tools.endpoints.assigned(wanted.id) ??
        refuse("not-found", "the swarm no longer has an address for this task"));
  if (isRefusal(given)) return couldNotAttach(network, given);
  entry.note({ kind: "given", endpointId: wanted.id, ...given });
  const sandbox = { kind: "own", id } as const;
  const conflict = await tools.placing.conflict(given.network, sandbox);
  if (conflict !== undefined) {
    return couldNotAttach(network, refuse("failed-precondition", conflict));
  }
  tools.placing.own(wanted.id, { sandbox, interfaceName: wanted.interfaceName });
  return undefined;
}

async function ask(
  { record }: ContainerEntry,
  wanted: EndpointRecord,
  tools: NetworkTools,
  hostname: string,
): Promise<NonNullable<EndpointRecord["given"]> | Refusal> {
  const { id, spec } = record;
  const { network, aliases, ipv4, ipv6 } = wanted.wish;
  const asked = tools.endpoints.attach({
    endpointId: wanted.id,
    network,
    name: spec.name,
    aliases: [...aliases, shortId(id)],
    ownerId: id,
    hostname,
    ipv4,
    ipv6,
  });
  const answer = await asked.catch((error: unknown) => {
    tools.log.warn({ container: id, network, ...faultFields(error) }, "no manager answered");
    return refuse("unavailable", sentenceOf(error));
  });
  if (isRefusal(answer)) return answer;
  if (answer.endpoint === undefined || answer.network === undefined) {
    throw new Fault("ATTACH_ANSWER", { network });
  }
  return { endpoint: answer.endpoint, network: answer.network };
}

/** Its interface goes; the address of the swarm is not given back yet. */
export async function leave(endpoint: EndpointRecord, tools: NetworkTools): Promise<void> {
  if (isOfSwarm(endpoint)) await tools.placing.disown(endpoint.id);
  else await tools.joins?.leave(endpoint.id);
}

/** After an agent's start: the same places as before, for a container that runs. */
export async function declareAgain(entry: ContainerEntry, tools: NetworkTools): Promise<void> {
  const { id, spec, endpoints } = entry.record;
  if (hasOwnSandbox(spec)) {
    entry.sandboxPath = tools.placing.sandbox(id);
    tools.names?.declare(id, spec.dns);
  }
  for (const endpoint of endpoints.filter(isOfSwarm)) {
    const { interfaceName } = endpoint;
    tools.placing.own(endpoint.id, { sandbox: { kind: "own", id }, interfaceName });
  }
  for (const endpoint of endpoints.filter((each) => !isOfSwarm(each))) {
    if (endpoint.given === undefined) continue;
    const { hostname, ipv4, ipv6 } = endpoint.given.endpoint;
    // The same addresses and ports: whoever was told of them finds them.
    const same = { ...endpoint.wish, ipv4: plain(ipv4), ipv6: plain(ipv6) };
    const again = { ...endpoint, wish: same };
    const ports = endpoint.ports ?? [];
    const gateway = endpoint.via === "gateway" || isFirstLocal(endpoint, endpoints);
    const refusal = await joinLocal(entry, again, tools, hostname, ports, gateway);
    if (refusal) {
      tools.log.error({ container: id, err: refusal.message }, "network not joined again");
      await entry.step({ kind: "trouble", error: refusal.message });
    } else await entry.save();
  }
  tools.names?.open(id);
}

function isFirstLocal(endpoint: EndpointRecord, all: readonly EndpointRecord[]): boolean {
  const first = all.find(
    ({ via, given }) => via === "local" && given?.network.spec?.internal !== true,
  );
  return first === endpoint;
}

function plain(address: string): string {
  return address.split("/")[0] ?? "";
}

/** One more network for a container that runs. All of it, or nothing is left of it. */
export async function connectRunning(
  entry: ContainerEntry,
  wish: EndpointWish,
  tools: NetworkTools,
  hostname: string,
  signal: AbortSignal,
): Promise<Refusal | undefined> {
  const endpoint = newEndpoint(wish, freeInterfaceName(entry.record.endpoints), tools);
  await entry.step({ kind: "joining", endpoint });
  let refusal: Refusal | undefined;
  try {
    refusal = await (endpoint.via === "local"
      ? joinLocal(entry, endpoint, tools, hostname, [], false)
      : attach(entry, endpoint, tools, hostname));
    if (refusal === undefined) await entry.save();
    if (refusal === undefined && isOfSwarm(endpoint)) {
      await tools.placing.ready(endpoint.id, signal);
    }
  } catch (error) {
    refusal = refuse("unavailable", sentenceOf(error));
  }
  if (refusal) await disconnectRunning(entry, endpoint.id, tools);
  else tools.names?.open(entry.record.id);
  return refusal;
}

export async function disconnectRunning(
  entry: ContainerEntry,
  endpointId: string,
  tools: NetworkTools,
): Promise<void> {
  const endpoint = entry.record.endpoints.find(({ id }) => id === endpointId);
  if (endpoint === undefined || entry.record.phase !== "running") return;
  await leave(endpoint, tools);
  // Noted before it is forgotten, so that an agent killed in between gives it back.
  if (isAttached(endpoint)) await tools.releases.add([endpoint.id]);
  // It has ended meanwhile, which gives back all that it has.
  if (entry.record.phase !== "running") return;
  await entry.mustGoOn({ kind: "left", endpointId }, tools.log);
}

function freeInterfaceName(taken: readonly EndpointRecord[]): string {
  const names = new Set(taken.map(({ interfaceName }) => interfaceName));
  for (let number = 0; ; number++) {
    if (!names.has(`eth${number}`)) return `eth${number}`;
  }
}
