// What goes wrong in a simulated swarm, by chance: one thing after the other, while others have not ended.
import type { Random } from "../../../common/random.js";
import { itself } from "../../../manager/loops/itself.js";
import type { SimNode } from "./node.js";
import type { VirtualTime } from "./time.js";
import type { Wires } from "./wires.js";

export interface FaultsOptions {
  readonly nodes: ReadonlyMap<string, SimNode>;
  readonly time: VirtualTime;
  readonly wires: Wires;
  readonly random: Random;
  readonly trace: (line: () => string) => void;
  /** Nothing goes wrong but this node, whose disk lies: with another fault beside it nobody can promise anything. */
  readonly liar: SimNode | undefined;
}

// Choice: from one fault to the next, and how long each lasts, at most.
const PAUSE_MS = 900;
const LAST_MS = 3_500;
const JUMP_MS = 10 * 60_000;

export class Faults {
  #stopped = false;

  constructor(private readonly options: FaultsOptions) {}

  start(): void {
    this.#next();
  }

  /** All that is wrong ends, but for what clocks say. */
  stop(): void {
    this.#stopped = true;
    const { wires, nodes } = this.options;
    wires.weather = { lossPercent: 0, duplicatePercent: 0, slowestMs: 5 };
    wires.healAll();
    for (const node of nodes.values()) {
      node.disk.isFull = false;
      node.disk.onWrite = () => {};
      node.start();
    }
  }

  #next(): void {
    const { time, random } = this.options;
    time.in(1 + random.below(PAUSE_MS), () => {
      if (this.#stopped) return;
      this.#one();
      this.#next();
    });
  }

  #one(): void {
    const { random, trace, liar } = this.options;
    const [name, run] = pick(random, liar === undefined ? FAULTS : OF_A_LIAR);
    const managers = [...this.options.nodes.values()].filter(({ seat }) => seat.process?.alive);
    const node = liar ?? (random.below(4) > 0 ? pick(random, managers) : this.#anyNode());
    if (node === undefined) return;
    const said = run(this.options, node, this.#later);
    trace(() => `fault ${name} ${node.id}${said ? `: ${said}` : ""}`);
  }

  #anyNode(): SimNode | undefined {
    return pick(this.options.random, [...this.options.nodes.values()]);
  }

  /** Ends what was begun, if nobody has. */
  readonly #later = (what: string, end: () => void): void => {
    const { time, random, trace } = this.options;
    time.in(1 + random.below(LAST_MS), () => {
      if (this.#stopped) return;
      trace(() => `ends ${what}`);
      end();
    });
  };
}

type Fault = (
  options: FaultsOptions,
  node: SimNode,
  later: (what: string, end: () => void) => void,
  // biome-ignore lint/suspicious/noConfusingVoidType: most have nothing to say.
) => string | void;

const crash: Fault = (_, node, later) => {
  const said = node.crash();
  later(`crash ${node.id}`, () => node.start());
  return said;
};

/** The process does not survive its next write to the disk. */
const crashAtWrite: Fault = ({ trace, time }, node, later) => {
  const { disk } = node;
  disk.onWrite = () => {
    disk.onWrite = () => {};
    // When it is asked for and not done: in the next turn, so that the write is under way.
    time.in(0, () => {
      if (!node.isRunning) return;
      const said = node.crash();
      trace(() => `crash ${node.id} at a write: ${said}`);
      later(`crash ${node.id}`, () => node.start());
    });
  };
};

const storm: Fault = ({ wires, random }, _, later) => {
  wires.weather = {
    lossPercent: random.below(30),
    duplicatePercent: random.below(30),
    slowestMs: 1 + random.below(300),
  };
  later("storm", () => {
    wires.weather = { lossPercent: 1, duplicatePercent: 1, slowestMs: 20 };
  });
  return JSON.stringify(wires.weather);
};

const FAULTS: readonly (readonly [string, Fault])[] = [
  ["crash", crash],
  ["crash at a write", crashAtWrite],
  ["crash at a write", crashAtWrite],
  ["kill manager", (_, node) => node.killManager()],
  ["storm", storm],
  [
    "cut off",
    ({ nodes, wires }, node, later) => {
      const others = [...nodes.values()].filter((other) => other !== node);
      for (const { addr } of others) {
        wires.cut(node.addr, addr);
        wires.cut(addr, node.addr);
      }
      later(`cut off ${node.id}`, () => {
        for (const { addr } of others) {
          wires.heal(node.addr, addr);
          wires.heal(addr, node.addr);
        }
      });
    },
  ],
  [
    "hears nobody",
    ({ nodes, wires }, node, later) => {
      const others = [...nodes.values()].filter((other) => other !== node);
      for (const { addr } of others) wires.cut(addr, node.addr);
      later(`hears nobody ${node.id}`, () => {
        for (const { addr } of others) wires.heal(addr, node.addr);
      });
    },
  ],
  [
    "is heard by nobody",
    ({ nodes, wires }, node, later) => {
      const others = [...nodes.values()].filter((other) => other !== node);
      for (const { addr } of others) wires.cut(node.addr, addr);
      later(`is heard by nobody ${node.id}`, () => {
        for (const { addr } of others) wires.heal(node.addr, addr);
      });
    },
  ],
  [
    "one way cut",
    ({ nodes, wires, random }, node, later) => {
      const to = pick(random, [...nodes.values()])?.addr ?? node.addr;
      if (to === node.addr) return;
      wires.cut(node.addr, to);
      later(`one way cut ${node.id}`, () => wires.heal(node.addr, to));
      return `to ${to}`;
    },
  ],
  [
    "halves",
    ({ nodes, wires, random }, _, later) => {
      const [here, there]: [SimNode[], SimNode[]] = [[], []];
      for (const each of nodes.values()) (random.below(2) === 0 ? here : there).push(each);
      const pairs = here.flatMap((a) => there.map((b) => [a.addr, b.addr] as const));
      for (const [a, b] of pairs) {
        wires.cut(a, b);
        wires.cut(b, a);
      }
      later("halves", () => {
        for (const [a, b] of pairs) {
          wires.heal(a, b);
          wires.heal(b, a);
        }
      });
      return here.map(({ id }) => id).join(" ");
    },
  ],
  [
    "disk full",
    (_, node, later) => {
      node.disk.isFull = true;
      later(`disk full ${node.id}`, () => {
        node.disk.isFull = false;
      });
    },
  ],
  [
    "clock jumps",
    ({ random }, node) => {
      node.clock.aheadMs = random.below(2 * JUMP_MS) - JUMP_MS;
      return `${node.clock.aheadMs} ms ahead`;
    },
  ],
  [
    "hands over",
    ({ random }, node) => {
      const consensus = node.member?.consensus;
      const status = consensus?.status();
      const heir = status && pick(random, status.members);
      if (consensus === undefined || status?.role !== "leader" || heir === undefined) return;
      const { signal } = itself(new AbortController().signal);
      consensus.transferLeadership(heir.raftId, signal).catch(() => {});
    },
  ],
];

const OF_A_LIAR: readonly (readonly [string, Fault])[] = [
  ["crash", crash],
  ["crash at a write", crashAtWrite],
];

function pick<T>(random: Random, list: readonly T[]): T {
  return list[random.below(Math.max(1, list.length))] as T;
}
