// The Control service: what of it any manager answers itself, and how the leader is asked for the rest.
import { isRefusal, type Refusal, Refused, refuse } from "../../common/fault.js";
import { isSwarmId, newSwarmId } from "../../common/ids.js";
import { newJoinSecret } from "../../common/join-token.js";
import type { Random } from "../../common/random.js";
import { newUnlockKey } from "../../common/unlock-key.js";
import type { NodeClock } from "../../proto/gen/control.js";
import type { Cluster } from "../../proto/gen/types.js";
import { withoutKeys } from "../ca/root-rotation.js";
import { updateCluster } from "../control/cluster.js";
import { createNetwork, removeNetwork } from "../control/network.js";
import { networksShown } from "../control/network-lookup.js";
import { removeNode, updateNode } from "../control/node.js";
import type { CertificateSigner, Consensus, ControlApi, ControlCalls } from "../seams.js";
import { versionOf } from "../store/objects.js";
import type { Outcomes, Store } from "../store/store.js";
import type { StoreView } from "../store/view.js";
import { Ask } from "./control-ask.js";
import { workCalls } from "./control-work.js";
import { followEvents } from "./events.js";
import { quorumLoss } from "./quorum.js";
import { rootChange } from "./root-change.js";
import { type Router, unknownIfOutOfSequence, unknownIfTaken } from "./route.js";
import { requestContext, type Writer } from "./write.js";

export interface ControlOptions {
  readonly store: Store;
  readonly consensus: Consensus<Outcomes>;
  readonly writer: Writer;
  readonly router: Router;
  readonly random: Random;
  /** What is wrong in the swarm, from the leader. */
  readonly check: ControlApi["checkSwarm"];
  /** Measures a network, on the leader. */
  readonly probe: ControlApi["probeNetwork"];
  /** The output of tasks, from the leader. */
  readonly logs: ControlApi["serviceLogs"];
  /** What nodes see, from the leader. */
  readonly inquire: ControlApi["inquire"];
  /** How far the nodes' clocks are from this one, on the leader; elsewhere nothing is known. */
  readonly clocks: () => readonly NodeClock[];
  readonly signer: CertificateSigner;
  readonly nowMs: () => number;
}

/** Control as any manager serves it. */
export function controlApi(options: ControlOptions): ControlApi {
  const { store, consensus, writer, random } = options;

  const ask = new Ask(options);
  const { idOf, gone, doneIfGone } = ask;
  const read = ask.read.bind(ask);
  const write = ask.write.bind(ask);

  const calls: ControlCalls = {
    ...workCalls({ ask, writer, random }),
    getCluster: (request, caller) =>
      read(caller, shownCluster, ({ control }, routed) => control.getCluster(request, routed)),
    getUnlockKey: (request, caller) =>
      read(
        caller,
        (view) => ({ key: view.cluster()?.unlockKey ?? Buffer.alloc(0) }),
        ({ control }, routed) => control.getUnlockKey(request, routed),
      ),
    updateCluster: (request, caller) =>
      options.router.onLeader<Cluster>(
        caller,
        async () => {
          const secrets = {
            worker: newJoinSecret(random),
            manager: newJoinSecret(random),
            unlockKey: newUnlockKey(random),
          };
          const before = store.view.cluster();
          // Of another version nothing is written; what was made for it would be lost.
          const isSame = before !== undefined && versionOf(before) === request.version;
          const ca = { signer: options.signer, nowMs: options.nowMs() };
          const root = await rootChange(isSame ? before : undefined, request, ca);
          if (isRefusal(root)) return root;
          const answer = await writer.write(
            (draft) => idOf(updateCluster(draft, request, secrets, root)),
            (view) => shownCluster(view),
          );
          return answer as Cluster | Refusal;
        },
        ({ control }, routed) => control.updateCluster(request, routed),
        unknownIfOutOfSequence,
      ),
    listNodes: (request, caller) =>
      read(
        caller,
        (view) => ({
          nodes: [...view.nodes()],
          leaderNodeId: leaderNodeId(consensus),
          clocks: options.clocks(),
          unheardManagers: unheard(consensus),
        }),
        ({ control }, routed) => control.listNodes(request, routed),
      ),
    updateNode: (request, caller) =>
      write(
        caller,
        (draft) =>
          idOf(updateNode(draft, request, (...without) => quorumLoss(consensus, ...without))),
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
        (view) => ({ networks: networksShown(view) }),
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
        unknownIfTaken,
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
    // Every manager applies every change, so each can tell of it; nothing is asked of the leader. Which is why only the
    // node itself may ask: no manager can be sure that another one still is one.
    watchEvents: (caller) => {
      if (caller.local) return followEvents(store, options.nowMs, caller.signal);
      throw new Refused(refuse("permission-denied", "a manager is asked on its node's own socket"));
    },
    checkSwarm: options.check,
    probeNetwork: options.probe,
    serviceLogs: options.logs,
    inquire: options.inquire,
  };
}

/**
 * What signs certificates stays on the managers, and what unlocks them is asked for by itself; who was removed is of no
 * use to who asks, and grows.
 */
function shownCluster(view: StoreView): Cluster | Refusal {
  const cluster = view.cluster();
  if (!cluster) return refuse("failed-precondition", "there is no swarm yet");
  const kept = { unlockKey: Buffer.alloc(0) };
  return { ...withoutKeys(cluster), ...kept, removedNodes: [], removed: [] };
}

function endpointsOf(view: StoreView, networkId: string, nodeId: string) {
  if (networkId === "") return [...(nodeId === "" ? view.endpoints() : view.endpointsOf(nodeId))];
  const onNetwork = [...view.endpointsOn(networkId)];
  return nodeId === "" ? onNetwork : onNetwork.filter((endpoint) => endpoint.nodeId === nodeId);
}

/** Learners too: one that catches up is heard. */
function unheard(consensus: Consensus<unknown>): string[] {
  const { members } = consensus.status();
  return members.filter(({ raftId }) => !consensus.reachable(raftId)).map(({ nodeId }) => nodeId);
}

function leaderNodeId(consensus: Consensus<unknown>): string {
  const { members, leaderId } = consensus.status();
  return members.find(({ raftId }) => raftId === leaderId)?.nodeId ?? "";
}
