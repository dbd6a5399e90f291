// A swarm of nodes that become managers and cease to be, in one thread on virtual time: the real agents' role
// loops, manager processes, Raft and store. It begins in whatever state a test gives it.
import assert from "node:assert/strict";
import type { RoleLoop } from "../../agent/loops/role.js";
import { isRefusal, type Refusal } from "../../common/fault.js";
import { DEFAULT_TIMING } from "../../common/timing.js";
import { removeNode, updateNode } from "../../manager/control/node.js";
import { nodeUpdateFor } from "../../manager/dispatch/node-update.js";
import { quorumLoss } from "../../manager/loops/quorum.js";
import type { Member } from "../../manager/member.js";
import { versionOf } from "../../manager/store/objects.js";
import type { Store } from "../../manager/store/store.js";
import type { RaftMember } from "../../proto/gen/raft.js";
import { Role } from "../../proto/gen/types.js";
import { MemoryLogDisk } from "./log-disk.js";
import { ManualClock, settle } from "./manual-clock.js";
import { CLUSTER_ID, type Credentials, type RoleWord } from "./seat-credentials.js";
import { SeatNetwork } from "./seat-network.js";
import { SeatNode } from "./seat-node.js";
import { addrOf, firstStore, type SeatedNode } from "./seat-store.js";

const ROLE = { manager: Role.MANAGER, worker: Role.WORKER };
const POLL_MS = 100;
// Choice: how long news takes to an agent at most.
const NEWS_MS = 100;

export class SeatSwarm {
  readonly clock = new ManualClock();
  readonly network = new SeatNetwork(this.clock, DEFAULT_TIMING);
  readonly nodes = new Map<string, SeatNode>();
  /** Called after each step of time. */
  onStep: () => void = () => {};
  readonly #store: Store;
  #handOvers = 0;

  /** Nodes with seats that vote have their log and certificate; what else a node has, a test says before `start`. */
  constructor(
    readonly credentials: Credentials,
    readonly members: readonly SeatedNode[],
    seed = 1,
  ) {
    this.#store = firstStore(members, credentials);
    const managers = members.flatMap(({ id, seat }) =>
      seat?.learner === false ? [addrOf(id)] : [],
    );
    for (const [i, { id, seat }] of members.entries()) {
      const node = new SeatNode({
        id,
        addr: addrOf(id),
        network: this.network,
        credentials,
        clock: this.clock,
        timing: DEFAULT_TIMING,
        seed: seed * 100 + i,
        listen: (self, role, signal) => this.#listen(self, role, signal),
        newLog: () => new MemoryLogDisk(),
        managers,
      });
      this.nodes.set(id, node);
      if (seat?.learner === false) {
        this.giveLog(node, this.group());
        this.giveIdentity(node, seat.raftId);
        node.certificate = "manager";
      }
    }
  }

  node(id: string): SeatNode {
    const node = this.nodes.get(id);
    assert(node, `node ${id}`);
    return node;
  }

  // ---- What a disk has before the start -------------------------------------------------------------

  group(): readonly RaftMember[] {
    return this.members.flatMap(({ id, seat }) =>
      seat ? [{ ...seat, nodeId: id, addr: addrOf(id) }] : [],
    );
  }

  giveIdentity(node: SeatNode, raftId: number, joinedBy = ""): void {
    const { id, addr } = node;
    const base = { raftId, clusterId: CLUSTER_ID, nodeId: id, joinedBy };
    node.disk.identity = { ...base, listenAddr: addr, advertiseAddr: addr };
    node.disk.tls = this.credentials.identity(id, "manager");
  }

  /** `behind`: of before the members were as they are; the rest comes from the leader, as a snapshot. */
  giveLog(node: SeatNode, members: readonly RaftMember[], behind = 0): void {
    const index = this.#store.revision - behind;
    const sorted = [...members].sort((a, b) => a.raftId - b.raftId);
    node.disk.log.snapshot = {
      meta: { index, term: 1, conf: { members: sorted } },
      data: Buffer.from(this.#store.snapshot()),
    };
    node.disk.log.hardState = { term: 1, vote: 0, commit: index };
  }

  // ---- Time -----------------------------------------------------------------------------------------

  async pass(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += POLL_MS) {
      await this.clock.advance(POLL_MS);
      await settle();
      this.onStep();
    }
  }

  /** Answers how long it took; fails with `why` after `ms`. */
  async until(condition: () => boolean, ms: number, why: () => string): Promise<number> {
    for (let passed = 0; passed <= ms; passed += POLL_MS) {
      if (condition()) return passed;
      await this.pass(POLL_MS);
    }
    throw new Error(`not within ${ms} ms: ${why()}`);
  }

  // ---- What a person does -----------------------------------------------------------------------------

  maybeLeader(): Member | undefined {
    const leading = [...this.nodes.values()].flatMap(({ process }) => {
      const status = process?.member?.consensus.status();
      return process?.member && status?.role === "leader" && status.ready
        ? [{ member: process.member, term: status.term, generation: generationOf(process.member) }]
        : [];
    });
    // As an agent, which heeds no manager of before the swarm was begun anew once it has heard of that.
    const later = (a: (typeof leading)[0], b: (typeof leading)[0]) =>
      b.generation - a.generation || b.term - a.term;
    return leading.sort(later)[0]?.member;
  }

  leader(): Member {
    const leader = this.maybeLeader();
    assert(leader, "no leader");
    return leader;
  }

  leaderNode(): SeatNode {
    const leader = this.leader();
    const node = [...this.nodes.values()].find(({ process }) => process?.member === leader);
    assert(node);
    return node;
  }

  /** As `skein node rm --force`, on the leader. */
  async remove(id: string): Promise<Refusal | undefined> {
    const { writer } = this.leader();
    const ctx = { nowMs: 0, newId: () => "", randomBytes: (n: number) => new Uint8Array(n) };
    const result = await this.settled(
      writer.write(
        (draft) => removeNode(draft, { id, force: true }, ctx) ?? true,
        () => true,
      ),
    );
    return isRefusal(result) ? result : undefined;
  }

  /** As `skein node promote` and `demote`, on the leader. */
  async wish(id: string, role: RoleWord, force = false): Promise<Refusal | undefined> {
    const { writer, store, consensus } = this.leader();
    const node = store.view.node(id);
    assert(node?.spec, `node ${id} in the store`);
    const spec = { ...node.spec, role: ROLE[role] };
    const result = await this.settled(
      writer.write(
        (draft) =>
          updateNode(draft, { id, version: versionOf(node), spec, force }, (...without) =>
            quorumLoss(consensus, ...without),
          ),
        () => true,
      ),
    );
    return isRefusal(result) ? result : undefined;
  }

  /** The lead goes to another voter that answers, if there is one. */
  async handOver(): Promise<void> {
    const { consensus } = this.leader();
    const { members, raftId } = consensus.status();
    // Another each time it is asked.
    const heirs = members.filter(
      (each) => !each.learner && each.raftId !== raftId && consensus.reachable(each.raftId),
    );
    const heir = heirs[this.#handOvers++ % Math.max(heirs.length, 1)];
    if (heir === undefined) return;
    const { signal } = new AbortController();
    await this.settled(consensus.transferLeadership(heir.raftId, signal).catch(() => {}));
  }

  async settled<T>(promise: Promise<T>): Promise<T> {
    let done = false;
    const end = () => {
      done = true;
    };
    promise.then(end, end);
    await this.until(
      () => done,
      30_000,
      () => "no answer",
    );
    return promise;
  }

  start(...except: readonly string[]): void {
    for (const node of this.nodes.values()) if (!except.includes(node.id)) node.startAgent();
  }

  stop(): void {
    for (const node of this.nodes.values()) {
      node.killAgent();
      node.process?.kill();
    }
  }

  async #listen(node: SeatNode, role: RoleLoop, signal: AbortSignal): Promise<void> {
    let heard = "";
    for (;;) {
      const told = this.#leaderFor(node.addr);
      const update = told && nodeUpdateFor(told.store.view, node.id);
      if (update?.node !== undefined) {
        const addresses = update.managers.map(({ addr }) => addr);
        if (addresses.length > 0) node.managers = addresses;
        const { spec, manager } = update.node;
        const news = JSON.stringify([told?.consensus.status().raftId, spec, manager]);
        if (news !== heard) role.hear(update.node);
        heard = news;
      }
      try {
        await this.clock.sleep(NEWS_MS, signal);
      } catch {
        return;
      }
    }
  }

  #leaderFor(from: string): Member | undefined {
    if (this.network.isCut(from)) return undefined;
    const leader = this.maybeLeader();
    return leader && !this.network.isCut(this.leaderNode().addr) ? leader : undefined;
  }
}

function generationOf({ store }: Member): number {
  return store.view.cluster()?.generation ?? 0;
}
