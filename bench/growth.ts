// How a frame's cost changes with what is in a host's tables: 2 to 1,000 nodes, 10 to 10,000 endpoints. All but the two
// hosts that are measured are rows alone. `sudo scripts/bench growth`.
//
//   ROUNDS=5       how often each size is measured; every round goes through all sizes of both paths
//   SECONDS=2      how long one measurement takes
//   DESIGNS=a,b    of kernel, accelerated and userspace (default: the first two)
//
// In brackets: times the smallest one's of the same round, the median of these ratios. As in bench/datapath, packets have
// their ends on two CPUs and the ping-pong on one.
import type { DataPath } from "../agent/overlay/data-path.js";
import { settle } from "./measure/pair.js";
import { type OwnStanding, type Size, skein } from "./measure/skein.js";
import { median } from "./measure/table.js";
import { SMALL_PACKETS, TCP_PING_PONG } from "./measure/traffic.js";

const ROUNDS = Number(process.env["ROUNDS"] ?? 5);
const SECONDS = Number(process.env["SECONDS"] ?? 2);
const PATHS: readonly DataPath[] = ["kernel", "accelerated", "userspace"];
const ONLY = process.env["DESIGNS"]?.split(",") ?? ["kernel", "accelerated"];

/** The smallest is what the others are compared with; then nodes grow alone, then endpoints alone. */
const SIZES: readonly Size[] = [
  { peers: 2, endpoints: 10 },
  { peers: 10, endpoints: 1_000 },
  { peers: 100, endpoints: 1_000 },
  { peers: 1_000, endpoints: 1_000 },
  { peers: 2, endpoints: 100 },
  { peers: 2, endpoints: 1_000 },
  { peers: 2, endpoints: 10_000 },
  { peers: 1_000, endpoints: 10_000 },
];
const MEASURES = [SMALL_PACKETS, TCP_PING_PONG];
const FIGURES = MEASURES.flatMap(({ figures }) => figures);

const standings = new Map<DataPath, OwnStanding>();
/** By path and size: the figures of each round. */
const taken = new Map<string, number[][]>();
const keyOf = (path: DataPath, size: Size) => `${path} ${size.peers} ${size.endpoints}`;

function print(): void {
  console.log(`${ROUNDS} rounds; both hosts on this machine; underlay: tunnel-gso.\n`);
  const columns = [...standings.keys()].flatMap((path) =>
    FIGURES.map(({ name, unit }) => `${path}: ${name}, ${unit}`),
  );
  console.log(`| nodes, endpoints | ${columns.join(" | ")} |`);
  console.log(`|---|${columns.map(() => "---|").join("")}`);
  for (const size of SIZES) {
    const cells = [...standings.keys()].flatMap((path) =>
      FIGURES.map((_, figure) => cell(path, size, figure)),
    );
    const { peers, endpoints } = size;
    console.log(
      `| ${peers.toLocaleString("en")}, ${endpoints.toLocaleString("en")} | ${cells.join(" | ")} |`,
    );
  }
}

function cell(path: DataPath, size: Size, figure: number): string {
  const of = (each: Size | undefined) =>
    (each === undefined ? [] : (taken.get(keyOf(path, each)) ?? [])).map(
      (round) => round[figure] ?? Number.NaN,
    );
  const [values, smallest] = [of(size), of(SIZES[0])];
  const ratios = values.map((value, round) => value / (smallest[round] ?? Number.NaN));
  const text = median(values).toFixed(FIGURES[figure]?.digits);
  return size === SIZES[0] ? text : `${text} (${median(ratios).toFixed(2)})`;
}

try {
  for (const [i, path] of PATHS.filter((each) => ONLY.includes(each)).entries()) {
    const standing = await skein(`skg${process.pid}${i}`, "tunnel-gso", path);
    standings.set(path, standing);
    settle(standing);
  }
  for (let round = 0; round < ROUNDS; round++) {
    for (const size of SIZES) {
      for (const [path, standing] of standings) {
        await standing.resize(size);
        const figures: number[] = [];
        for (const { take } of MEASURES) figures.push(...(await take(standing, SECONDS)));
        const rounds = taken.get(keyOf(path, size)) ?? [];
        taken.set(keyOf(path, size), [...rounds, figures]);
        // The other path's turn has the machine to itself.
        await standing.resize({ peers: 2, endpoints: 2 });
      }
    }
    process.stderr.write(`round ${round + 1} of ${ROUNDS}\n`);
  }
  print();
} finally {
  for (const standing of standings.values()) await standing.down();
}
