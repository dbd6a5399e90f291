// The store that every log of a test's swarm begins with: its nodes, and who of them has a seat.
import assert from "node:assert/strict";
import { isRefusal } from "../../common/fault.js";
import { initCluster } from "../../manager/control/cluster.js";
import { admitNode, setManagerMember } from "../../manager/control/membership.js";
import { recordNodeSession } from "../../manager/control/session.js";
import { Store } from "../../manager/store/store.js";
import type { Draft } from "../../manager/store/view.js";
import { Batch } from "../../proto/gen/store.js";
import { Availability, type ClusterSpec, Role } from "../../proto/gen/types.js";
import { CLUSTER_ID, type Credentials, digestOf, type RoleWord } from "./seat-credentials.js";

export interface SeatedNode {
  readonly id: string;
  readonly wanted: RoleWord;
  /** Its seat in the Raft group. */
  readonly seat?: { readonly raftId: number; readonly learner: boolean };
  /** The seat that the store has written down, if another than the one it votes from. */
  readonly recorded?: number | undefined;
}

export const addrOf = (id: string) => `10.0.0.${id.replace(/\D/g, "")}:2377`;
const ROLE = { manager: Role.MANAGER, worker: Role.WORKER };

/** The first node is a manager. */
export function firstStore(
  nodes: readonly SeatedNode[],
  { root, rootKey }: Pick<Credentials, "root" | "rootKey">,
  spec?: ClusterSpec,
): Store {
  const store = new Store();
  let ids = 0;
  const ctx = {
    nowMs: 0,
    newId: () => `id${++ids}`,
    randomBytes: (n: number) => new Uint8Array(n),
  };
  const one = (request: (draft: Draft) => unknown) => {
    const transactions = store.draft((draft) => {
      const result = draft.attempt(0, request);
      assert(!isRefusal(result), isRefusal(result) ? result.message : "");
      return draft.transactions;
    });
    store.apply(store.revision + 1, Batch.encode({ transactions }).finish());
  };
  const [first, ...others] = nodes;
  assert(first?.seat, "the first node is a manager");
  const addr = addrOf(first.id).split(":")[0] ?? "";
  const node = {
    id: first.id,
    hostname: first.id,
    raftId: first.seat.raftId,
    managerAddr: addrOf(first.id),
    addr,
    dataPathAddr: addr,
    availability: Availability.ACTIVE,
    publicKeyDigest: digestOf(first.id),
  };
  const cluster = {
    clusterId: CLUSTER_ID,
    spec,
    rootCaCert: root,
    rootCaKey: rootKey,
    issuerSubject: Buffer.from("subject"),
    issuerPublicKey: Buffer.from("key"),
    joinSecrets: { worker: "w", manager: "m" },
    unlockKey: Buffer.alloc(0),
    defaultAddrPools: [],
    subnetSize: 0,
    dataPathPort: 0,
    node,
  };
  one((draft) => initCluster(draft, cluster, ctx));
  for (const { id, wanted, seat, recorded } of others) {
    const raftId = recorded ?? (seat?.learner === false ? seat.raftId : undefined);
    const role = raftId === undefined ? Role.WORKER : Role.MANAGER;
    const admit = {
      role,
      hostname: id,
      availability: Availability.ACTIVE,
      publicKeyDigest: digestOf(id),
      remoteAddr: addrOf(id).split(":")[0] ?? "",
    };
    one((draft) => admitNode(draft, admit, { ...ctx, newId: () => id }));
    if (raftId !== undefined) {
      one((draft) => setManagerMember(draft, { nodeId: id, raftId, addr: addrOf(id) }));
    }
    const session = {
      nodeId: id,
      description: undefined,
      addr: admit.remoteAddr,
      dataPathAddr: "",
    };
    one((draft) => recordNodeSession(draft, session));
    one((draft) => {
      const known = draft.node(id);
      assert(known?.spec);
      draft.update("node", { ...known, spec: { ...known.spec, role: ROLE[wanted] } });
      return true;
    });
  }
  return store;
}
