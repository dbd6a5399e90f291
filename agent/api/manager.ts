// Asking the local manager: what a route needs of the swarm, as values or as HTTP errors in the words
// that dockerd has for an error of its manager.
import { isRefusal } from "../../common/fault.js";
import { callUnary, type UnaryMethod } from "../../common/grpc/call.js";
import { DEFAULT_TIMING } from "../../common/timing.js";
import type { ControlClient, ListNodesResponse } from "../../proto/gen/control.js";
import type { Cluster, Endpoint, Network } from "../../proto/gen/types.js";
import type { AgentNode } from "../seams.js";
import { HttpError, here, refusedByManager } from "./http-error.js";

/** The part of a call that asking needs; tests of a single mapping give no more. */
export interface Asker {
  readonly node: AgentNode;
  readonly signal: AbortSignal;
}

// Choice: longer than an election, so that a request made while the leader changes is answered.
const MANAGER_TIMEOUT_MS = 2 * DEFAULT_TIMING.requestMs;

/** The local manager's client; HttpError 503 in Docker's words on a worker. */
export function manager(asker: Asker): ControlClient {
  return here(asker.node.membership.control());
}

/** Whether this node can ask a manager of its own. */
export function isManager(node: AgentNode): boolean {
  return !isRefusal(node.membership.control());
}

export async function ask<Request, Response>(
  asker: Asker,
  pick: (client: ControlClient) => UnaryMethod<Request, Response>,
  request: Request,
): Promise<Response> {
  const client = manager(asker);
  const answer = await callUnary(pick(client).bind(client), request, {
    addr: "this node's manager",
    timeoutMs: MANAGER_TIMEOUT_MS,
    signal: asker.signal,
  });
  if (isRefusal(answer)) throw refusedByManager(answer);
  return answer;
}

export function getCluster(asker: Asker): Promise<Cluster> {
  return ask(asker, (client) => client.getCluster, {});
}

export function listNodes(asker: Asker): Promise<ListNodesResponse> {
  return ask(asker, (client) => client.listNodes, {});
}

export async function listNetworks(asker: Asker): Promise<readonly Network[]> {
  return (await ask(asker, (client) => client.listNetworks, {})).networks;
}

export async function listEndpoints(asker: Asker, networkId = ""): Promise<readonly Endpoint[]> {
  const request = { networkId, nodeId: "" };
  return (await ask(asker, (client) => client.listEndpoints, request)).endpoints;
}

/** A part of an answer that does without: undefined instead of an error of the manager. */
export async function orUndefined<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof HttpError || (error instanceof Error && error.name === "Fault")) {
      return undefined;
    }
    throw error;
  }
}
