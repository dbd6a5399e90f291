// Asking the local manager: what a route needs of the swarm, as values or as HTTP errors in the words
// that dockerd has for an error of its manager.
import type { Clock } from "../../common/clock.js";
import { Fault, isRefusal, type Refusal } from "../../common/fault.js";
import { callUnary, type UnaryMethod } from "../../common/grpc/call.js";
import { DEFAULT_TIMING } from "../../common/timing.js";
import type { ControlClient, ListNodesResponse } from "../../proto/gen/control.js";
import type { Cluster, Endpoint, Network } from "../../proto/gen/types.js";
import { isBecomingManager } from "../member/words.js";
import type { AgentNode } from "../seams.js";
import { here, refusedByManager, refusedHere } from "./http-error.js";

/** The part of a call that asking needs; tests of a single mapping give no more. */
export interface Asker {
  readonly node: AgentNode;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

// Choice: longer than an election, so that a request made while the leader changes is answered.
const MANAGER_TIMEOUT_MS = 2 * DEFAULT_TIMING.requestMs;

// Choice: a manager process that was killed is back within two seconds on a machine that is not busy.
const RESTART_MS = 5_000;
const RETRY_MS = 100;

/** The local manager's client; HttpError 503 in Docker's words on a worker. */
export async function manager(asker: Asker): Promise<ControlClient> {
  return here(await clientOf(asker));
}

/**
 * Whether this node has a manager of its own to ask: else what the node itself knows of the swarm is the answer.
 * HttpError 503 while it is about to have one: what a worker would say then is not all that there is.
 */
export async function isManager(asker: Asker): Promise<boolean> {
  const client = await clientOf(asker);
  if (!isRefusal(client)) return true;
  if (isBecomingManager(client)) throw refusedHere(client);
  return false;
}

/** The same of this moment, for what is answered anyhow. */
export function isManagerNow(node: AgentNode): boolean {
  return !isRefusal(node.membership.control());
}

/** A node that is becoming a manager, or whose agent has just started beside one, is waited for. */
async function clientOf({ node, clock, signal }: Asker): Promise<ControlClient | Refusal> {
  const endMs = clock.monotonicMs() + RESTART_MS;
  for (;;) {
    const client = node.membership.control();
    const again = isRefusal(client) && isBecomingManager(client);
    if (!again || clock.monotonicMs() + RETRY_MS >= endMs) return client;
    await clock.sleep(RETRY_MS, signal);
  }
}

/**
 * The manager's answer; HttpError for its refusal. A manager process that has just ended is being started
 * again, and is waited for. What was sent when it ended may have been done: only a `repeatable` request
 * is sent again then.
 */
export async function ask<Request, Response>(
  asker: Asker,
  pick: (client: ControlClient) => UnaryMethod<Request, Response>,
  request: Request,
  repeatable = false,
): Promise<Response> {
  const { clock, signal } = asker;
  const endMs = clock.monotonicMs() + RESTART_MS;
  for (;;) {
    const client = await manager(asker);
    try {
      const answer = await callUnary(pick(client).bind(client), request, {
        addr: "this node's manager",
        timeoutMs: MANAGER_TIMEOUT_MS,
        signal,
      });
      if (isRefusal(answer)) throw refusedByManager(answer);
      return answer;
    } catch (error) {
      const again = isAway(error, repeatable) && clock.monotonicMs() + RETRY_MS < endMs;
      if (!again) throw error;
      await clock.sleep(RETRY_MS, signal);
    }
  }
}

/** What is undefined while the manager process is away, once it is there. */
export async function whenUp<T>(asker: Asker, look: () => Promise<T | undefined>): Promise<T> {
  const { clock, signal } = asker;
  const endMs = clock.monotonicMs() + RESTART_MS;
  for (;;) {
    await manager(asker);
    const found = await look();
    if (found !== undefined) return found;
    if (clock.monotonicMs() + RETRY_MS >= endMs) {
      throw new Fault("RPC_UNREACHABLE", { addr: "this node's manager", why: "it does not run" });
    }
    await clock.sleep(RETRY_MS, signal);
  }
}

function isAway(error: unknown, repeatable: boolean): boolean {
  if (!(error instanceof Fault) || error.code !== "RPC_UNREACHABLE") return false;
  return repeatable || error.data["sent"] === false;
}

export function getCluster(asker: Asker): Promise<Cluster> {
  return ask(asker, (client) => client.getCluster, {}, true);
}

export function listNodes(asker: Asker): Promise<ListNodesResponse> {
  return ask(asker, (client) => client.listNodes, {}, true);
}

export async function listNetworks(asker: Asker): Promise<readonly Network[]> {
  return (await ask(asker, (client) => client.listNetworks, {}, true)).networks;
}

export async function listEndpoints(asker: Asker, networkId = ""): Promise<readonly Endpoint[]> {
  const request = { networkId, nodeId: "" };
  return (await ask(asker, (client) => client.listEndpoints, request, true)).endpoints;
}
