// A whole swarm on virtual time, from one seed: its machines, what its users ask of it, what goes wrong, and what must
// be true all the same. docs/simulator.md says what of it is the real code.
import { type Random, seededRandom } from "../../../common/random.js";
import { DEFAULT_TIMING } from "../../../common/timing.js";
import { fullAssignments } from "../../../manager/dispatch/assignments.js";
import type { Member } from "../../../manager/member.js";
import { ClusterSpec } from "../../../proto/gen/types.js";
import { CLUSTER_ID, Credentials } from "../../fakes/seat-credentials.js";
import { addrOf, firstStore } from "../../fakes/seat-store.js";
import { findUnordered, told } from "../linearizable.js";
import type { Mutant } from "../mutants/mutant.js";
import { Clients } from "./clients.js";
import { Faults } from "./faults.js";
import { Invariants, Violation } from "./invariants.js";
import { SimNode } from "./node.js";
import { REGISTER } from "./registers.js";
import { VirtualTime } from "./time.js";
import { Wires } from "./wires.js";

export interface Size {
  readonly managers: number;
  readonly nodes: number;
  readonly clients: number;
  /** How long faults go on. */
  readonly faultsMs: number;
}

const NODES_MAX = 25;
/** With the faults off, everybody agrees within so long. */
export const AGREE_MS = 10_000;
const LOOK_MS = 250;
// Of 1 ms each, at least: as many as a state of a million rows.
const SLICES_MAX = 500;

export const nodeIds = Array.from({ length: NODES_MAX }, (_, i) => `n${i + 1}`);
export const credentials = await Credentials.of(nodeIds);

export class World {
  readonly time = new VirtualTime();
  readonly nodes = new Map<string, SimNode>();
  readonly wires: Wires;
  readonly invariants: Invariants;
  readonly clients: Clients;
  readonly faults: Faults;
  readonly #random: Random;
  /** The manager whose disk lies, if one does. */
  readonly liar: string | undefined;
  /** One line an event, when it is wanted. */
  readonly lines: string[] = [];
  readonly #seen = new WeakSet<Member>();
  readonly #slowness: Random;
  #broken: unknown;

  constructor(
    readonly seed: number,
    readonly size: Size,
    private readonly isTraced = false,
    private readonly mutant: Mutant | undefined = undefined,
  ) {
    const random = seededRandom(seed);
    this.#random = random;
    const { time, nodes } = this;
    const trace = (line: () => string) => this.trace(line);
    this.wires = new Wires(time, seededRandom(random.below(2 ** 32)), DEFAULT_TIMING);
    this.wires.trace = trace;
    mutant?.wires?.(this.wires);
    this.invariants = new Invariants(nodes, () => time.nowMs);
    const ids = nodeIds.slice(0, size.nodes);
    const managers = ids.slice(0, size.managers);
    const slowestWriteMs = 1 + random.below(30);
    const guarded = (check: () => void) => {
      try {
        check();
      } catch (error) {
        this.#broken ??= error;
      }
    };
    for (const id of ids) {
      const node = new SimNode({
        id,
        seed: random.below(2 ** 20),
        time,
        wires: this.wires,
        trace,
        credentials,
        managers: managers.map(addrOf),
        slowestWriteMs: () => slowestWriteMs,
        onTold: (by, to) => guarded(() => this.invariants.told(by, to)),
        onNewDisk: (owner, disk) => {
          disk.onDurable = (entries) => guarded(() => this.invariants.written(owner, entries));
          mutant?.disk?.(disk);
        },
      });
      mutant?.clock?.(node.clock);
      nodes.set(id, node);
    }
    this.#fillDisks(ids, managers);
    const liar =
      random.below(12) === 0 ? nodes.get(managers[random.below(managers.length)] ?? "") : undefined;
    if (liar !== undefined) liar.disk.isLying = true;
    this.liar = liar?.id;
    const base = { nodes, time, wires: this.wires, trace, invariants: this.invariants };
    this.clients = new Clients({
      ...base,
      random: seededRandom(random.below(2 ** 32)),
      managers: size.managers,
    });
    this.faults = new Faults({ ...base, random: seededRandom(random.below(2 ** 32)), liar });
    this.#slowness = seededRandom(random.below(2 ** 32));
  }

  trace(line: () => string): void {
    if (this.isTraced) this.lines.push(`${String(this.time.nowMs).padStart(6)} ${line()}`);
  }

  /** Throws what is wrong. */
  async run(): Promise<void> {
    try {
      for (const node of this.nodes.values()) node.start();
      await this.#pass(2_000);
      this.clients.start(this.size.clients);
      this.faults.start();
      await this.#pass(this.size.faultsMs);
      this.trace(() => "the faults end");
      this.faults.stop();
      this.clients.calm();
      await this.#untilAgreed();
      this.clients.stop();
      await this.#pass(1_000);
      await this.#untilAgreed();
      if (this.liar === undefined) this.invariants.atTheEnd(this.managerIds());
      this.#checkHistory();
    } finally {
      this.clients.stop();
      for (const node of this.nodes.values()) {
        node.seat.process?.kill();
        node.seat.killAgent();
      }
    }
  }

  async #pass(ms: number): Promise<void> {
    await this.time.until(this.time.nowMs + ms, () => {
      if (this.#broken !== undefined) throw this.#broken;
      this.invariants.look();
      this.#lookAtMembers();
    });
  }

  #lookAtMembers(): void {
    for (const { member } of this.nodes.values()) {
      if (member === undefined || this.#seen.has(member)) continue;
      this.#seen.add(member);
      const slowest = this.#slowness.below(SLICES_MAX);
      if (this.#slowness.below(2) === 0) slowSnapshots(member.store, slowest);
      this.mutant?.member?.(member, this.time);
    }
  }

  async #untilAgreed(): Promise<void> {
    // What its disk has forgotten nobody sends it again: nobody can promise that it comes along (docs/simulator.md).
    if (this.liar !== undefined) return this.#pass(AGREE_MS);
    const endMs = this.time.nowMs + AGREE_MS;
    for (;;) {
      const apart = this.whatDiffers();
      if (apart === undefined) return;
      if (this.time.nowMs >= endMs)
        throw new Violation(`no agreement within ${AGREE_MS} ms: ${apart}`);
      await this.#pass(LOOK_MS);
    }
  }

  managerIds(): readonly string[] {
    const leader = [...this.nodes.values()].find(
      ({ member }) => member?.leadership.leader().kind === "self",
    );
    return leader?.member?.consensus.status().members.map(({ nodeId }) => nodeId) ?? [];
  }

  /** Undefined: all managers have one state, and every node has what it is to have of it. */
  whatDiffers(): string | undefined {
    const all = [...this.nodes.values()];
    const leaders = all.filter(({ member }) => member?.leadership.leader().kind === "self");
    const leader = leaders[0]?.member;
    if (leader === undefined || leaders.length > 1) return `${leaders.length} nodes lead`;
    const { commit, members } = leader.consensus.status();
    for (const { nodeId, learner } of members) {
      const other = this.nodes.get(nodeId)?.member;
      if (learner) return `${nodeId} is still a learner`;
      if (other === undefined) return `${nodeId} has a seat, and no manager`;
      const { applied } = other.consensus.status();
      if (applied < commit) return `${nodeId} has applied ${applied} of ${commit}`;
    }
    const { view } = leader.store;
    for (const row of view.nodes()) {
      const node = this.nodes.get(row.id);
      if (node === undefined) return `who is ${row.id}?`;
      // All managers that it knows were replaced while it was away, and it is none itself: there is nobody to ask.
      const knowsOne = members.some(({ addr }) => node.seat.addresses.includes(addr));
      if (node.session.kind !== "open" && !knowsOne) continue;
      if (node.session.kind !== "open") {
        return `${row.id} has no session: ${node.session.problem}`;
      }
      const want = fullAssignments(view, row.id);
      const have = node.held?.current;
      const differs = have === undefined ? "all" : differenceOf(want, have);
      if (differs !== undefined) return `${row.id} holds other ${differs}`;
    }
    return undefined;
  }

  #checkHistory(): void {
    const unordered = findUnordered(this.clients.history, REGISTER);
    if (unordered !== undefined)
      throw new Violation(`the history is not linearizable:\n${told(unordered)}`);
  }

  #fillDisks(ids: readonly string[], managers: readonly string[]): void {
    const members = managers.map((nodeId, i) => ({
      raftId: i + 1,
      nodeId,
      addr: addrOf(nodeId),
      learner: false,
    }));
    const spec = ClusterSpec.fromPartial({
      taskHistoryLimit: 1,
      heartbeatPeriodMs: 2_000,
      // Often, so that snapshots and their loss matter.
      snapshotInterval: 10 + this.#random.below(100),
    });
    const store = firstStore(
      ids.map((id, i) =>
        i < managers.length
          ? { id, wanted: "manager", seat: { raftId: i + 1, learner: false } }
          : { id, wanted: "worker" },
      ),
      credentials,
      spec,
    );
    const index = store.revision;
    const data = store.snapshot();
    for (const { nodeId, raftId, addr } of members) {
      const node = this.nodes.get(nodeId);
      if (node === undefined) continue;
      const meta = { index, term: 1, conf: { members } };
      node.disk.begin({ meta, data }, { term: 1, vote: 0, commit: index });
      node.seat.disk.identity = {
        raftId,
        clusterId: CLUSTER_ID,
        nodeId,
        listenAddr: addr,
        advertiseAddr: addr,
        joinedBy: "",
      };
      node.seat.disk.tls = credentials.identity(nodeId, "manager");
      node.seat.certificate = "manager";
    }
  }
}

interface Held {
  readonly networks: readonly Row[];
  readonly endpoints: readonly Row[];
  readonly tasks: readonly Row[];
  readonly services: readonly { readonly id: string }[];
}
interface Row {
  readonly id: string;
  readonly meta: { readonly version: number } | undefined;
}

function differenceOf(want: Held, have: Held): string | undefined {
  for (const kind of ["networks", "endpoints"] as const) {
    const names = (rows: readonly Row[]) =>
      rows
        .map(({ id, meta }) => `${id}@${meta?.version}`)
        .sort()
        .join(" ");
    if (names(want[kind]) !== names(have[kind]))
      return `${kind}: ${names(have[kind])} for ${names(want[kind])}`;
  }
  for (const kind of ["tasks", "services"] as const) {
    const names = (rows: readonly { readonly id: string }[]) =>
      rows
        .map(({ id }) => id)
        .sort()
        .join(" ");
    if (names(want[kind]) !== names(have[kind]))
      return `${kind}: ${names(have[kind])} for ${names(want[kind])}`;
  }
  return undefined;
}

/** As of a large state: encoding it takes many turns, between which all else goes on. */
function slowSnapshots(store: Member["store"], slices: number): void {
  const begin = store.snapshotSlices.bind(store);
  store.snapshotSlices = () => {
    const real = begin();
    let left = slices;
    let last: IteratorResult<undefined, Buffer> | undefined;
    const next = (): IteratorResult<undefined, Buffer> => {
      // The rows are taken down in the first.
      if (last?.done !== true) last = real.next();
      return last.done === true && left-- > 0 ? { done: false, value: undefined } : last;
    };
    return { next };
  };
}
