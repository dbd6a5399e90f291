// The Control service: reads behind a read barrier, writes through the writer, both on the leader.
import { isRefusal, type Refusal, refuse } from "../../common/fault.js";
import { isSwarmId, newSwarmId } from "../../common/ids.js";
import { newJoinSecret } from "../../common/join-token.js";
import type { Random } from "../../common/random.js";
import type { Cluster } from "../../proto/gen/types.js";
import { updateCluster } from "../control/cluster.js";
import { createNetwork, removeNetwork } from "../control/network.js";
import { removeNode, updateNode } from "../control/node.js";
import type { Caller, Consensus, ControlApi, ControlCalls, LeaderLink } from "../seams.js";
import type { Outcomes, Store } from "../store/store.js";
import type { StoreView } from "../store/view.js";
import { followEvents } from "./events.js";
import { keepsQuorum } from "./quorum.js";
import { type Router, unknownIfOutOfSequence } from "./route.js";
import { type Request, requestContext, type Writer } from "./write.js";

export interface ControlOptions {
  readonly store: Store;
  readonly consensus: Consensus<Outcomes>;
  readonly writer: Writer;
  readonly router: Router;
  readonly random: Random;
  /** Measures a network, on the leader. */
  readonly probe: ControlApi["probeNetwork"];
  readonly nowMs: () => number;
}

/** Control as any manager serves it. */
export function controlApi(options: ControlOptions): ControlApi {
  const { store, consensus, writer, router, random } = options;

  const read = <T>(
    caller: Caller,
    answer: (view: StoreView) => T | Refusal,
    there: (leader: LeaderLink, caller: Caller) => Promise<T | Refusal>,
  ) =>
    router.onLeader<T>(
      caller,
      async () => {
        await consensus.readBarrier(caller.signal);
        return answer(store.view);
      },
      there,
    );

  const write = <T>(
    caller: Caller,
    request: Request<string>,
    after: (view: StoreView, id: string) => T | Refusal,
    there: (leader: LeaderLink, caller: Caller) => Promise<T | Refusal>,
    settle?: (refusal: Refusal) => T | Refusal,
  ) =>
    router.onLeader<T>(
      caller,
      async () => {
        // `after` may itself refuse: what was written can be gone again by the time it is read.
        const answer = await writer.write(request, after);
        return answer as T | Refusal;
      },
      there,
      settle,
    );

  const calls: ControlCalls = {
    getCluster: (request, caller) =>
      read(caller, shownCluster, ({ control }, routed) => control.getCluster(request, routed)),
    updateCluster: (request, caller) => {
      const secrets = { worker: newJoinSecret(random), manager: newJoinSecret(random) };
      return write(
        caller,
        (draft) => idOf(updateCluster(draft, request, secrets)),
        (view) => shownCluster(view),
        ({ control }, routed) => control.updateCluster(request, routed),
        unknownIfOutOfSequence,
      );
    },
    listNodes: (request, caller) =>
      read(
        caller,
        (view) => ({ nodes: [...view.nodes()], leaderNodeId: leaderNodeId(consensus) }),
        ({ control }, routed) => control.listNodes(request, routed),
      ),
    updateNode: (request, caller) =>
      write(
        caller,
        (draft) => idOf(updateNode(draft, request, (raftId) => keepsQuorum(consensus, raftId))),
        (view, id) => view.node(id) ?? gone("node", id),
        ({ control }, routed) => control.updateNode(request, routed),
        unknownIfOutOfSequence,
      ),
    removeNode: (request, caller) =>
      write(
        caller,
        (draft, nowMs) => removeNode(draft, request, requestContext(nowMs, random)) ?? request.id,
        () => ({}),
        ({ control }, routed) => control.removeNode(request, routed),
        doneIfGone,
      ),
    listNetworks: (request, caller) =>
      read(
        caller,
        (view) => ({ networks: [...view.networks()] }),
        ({ control }, routed) => control.listNetworks(request, routed),
      ),
    createNetwork: (request, caller) => {
      // Chosen by the manager that is asked first, so that asking the next leader again makes one network.
      const id = isSwarmId(caller.requestId) ? caller.requestId : newSwarmId(random);
      return write(
        caller,
        (draft, nowMs) => {
          if (draft.network(id)) return id;
          const ctx = { ...requestContext(nowMs, random), newId: () => id };
          return idOf(createNetwork(draft, request, ctx));
        },
        (view) => view.network(id) ?? gone("network", id),
        ({ control }, routed) => control.createNetwork(request, { ...routed, requestId: id }),
      );
    },
    removeNetwork: (request, caller) =>
      write(
        caller,
        (draft, nowMs) =>
          removeNetwork(draft, request, requestContext(nowMs, random)) ?? request.id,
        () => ({}),
        ({ control }, routed) => control.removeNetwork(request, routed),
        doneIfGone,
      ),
    listEndpoints: (request, caller) =>
      read(
        caller,
        (view) => ({ endpoints: endpointsOf(view, request.networkId, request.nodeId) }),
        ({ control }, routed) => control.listEndpoints(request, routed),
      ),
  };
  return {
    ...calls,
    // Every manager applies every change, so each can tell of it; nothing is asked of the leader.
    watchEvents: (caller) => followEvents(store, options.nowMs, caller.signal),
    probeNetwork: options.probe,
  };
}

/** The root key stays on the managers. */
function shownCluster(view: StoreView): Cluster | Refusal {
  const cluster = view.cluster();
  if (!cluster) return refuse("failed-precondition", "there is no swarm yet");
  return { ...cluster, rootCaKey: Buffer.alloc(0) };
}

function endpointsOf(view: StoreView, networkId: string, nodeId: string) {
  if (networkId === "") return [...(nodeId === "" ? view.endpoints() : view.endpointsOf(nodeId))];
  const onNetwork = [...view.endpointsOn(networkId)];
  return nodeId === "" ? onNetwork : onNetwork.filter((endpoint) => endpoint.nodeId === nodeId);
}

function leaderNodeId(consensus: Consensus<unknown>): string {
  const { members, leaderId } = consensus.status();
  return members.find(({ raftId }) => raftId === leaderId)?.nodeId ?? "";
}

/** A removal that may have been done, and finds nothing now, was done. */
function doneIfGone(refusal: Refusal): Record<string, never> | Refusal {
  return refusal.code === "not-found" ? {} : refusal;
}

function idOf(object: { readonly id: string } | Refusal): string | Refusal {
  return isRefusal(object) ? object : object.id;
}

function gone(kind: string, id: string): Refusal {
  return refuse("not-found", `${kind} ${id} was removed again in the same moment`);
}
