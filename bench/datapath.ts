// What a frame's way costs: the bare underlay, an overlay laid out by hand as Docker lays it out, our own data paths, and
// tunnels that one would otherwise take, measured in turns (A B C A B C …), so that ratios are of the same minutes.
// `sudo scripts/bench datapath [--offloads tunnel-gso|1500-gro|1500]`; BENCHMARKS.md says what it printed.
//
//   --offloads     what the underlay makes of large frames: they cross whole, tunnelled ones too (default); frames of 1500
//                  bytes, merged where they arrive; frames of 1500 bytes, one by one
//   ROUNDS=5       how often each is measured
//   SECONDS=2      how long one measurement takes
//   DESIGNS=a,b    only these (default: all)
//   MEASURES=word  only those with this in a figure's name
//
// Throughput and packets have the client on CPU 0 and the server on CPU 1. Latency has both on CPU 0: across CPUs the
// wake-up of the other one costs more than all that is compared here. Figures are medians; ratios are medians of each
// round's ratio to the same round's figure of another design.
import { parseArgs } from "node:util";
import { DESIGNS, RATIOS } from "./measure/designs.js";
import { OFFLOADS, type Offloads, type Standing, settle } from "./measure/pair.js";
import { median } from "./measure/table.js";
import { type Figure, MEASURES } from "./measure/traffic.js";

const ROUNDS = Number(process.env["ROUNDS"] ?? 5);
const SECONDS = Number(process.env["SECONDS"] ?? 2);
const ONLY = process.env["DESIGNS"]?.split(",");

const { values } = parseArgs({ options: { offloads: { type: "string", default: "tunnel-gso" } } });
if (!isOffloads(values.offloads))
  throw new Error(`--offloads is one of ${Object.keys(OFFLOADS).join(", ")}`);
const offloads = values.offloads;

function isOffloads(text: string): text is Offloads {
  return Object.hasOwn(OFFLOADS, text);
}

const designs = DESIGNS.filter(({ name }) => ONLY?.includes(name) ?? true);
const measures = MEASURES.filter(({ figures }) =>
  figures.some(({ name }) => name.includes(process.env["MEASURES"] ?? "")),
);
const standings = new Map<string, Standing>();
/** By figure, then design: one a round. */
const taken = new Map<Figure, Map<string, number[]>>();

function note(figure: Figure, design: string, value: number): void {
  const rows = taken.get(figure) ?? new Map<string, number[]>();
  taken.set(figure, rows.set(design, [...(rows.get(design) ?? []), value]));
}

function print(): void {
  const names = designs.map(({ name }) => name);
  console.log(`${ROUNDS} rounds; both hosts on this machine; underlay: ${offloads}.\n`);
  table(names, ({ name, unit, digits }, rows) => [
    `${name}, ${unit}`,
    ...names.map((each) => median(rows.get(each) ?? []).toFixed(digits)),
  ]);
  const ratios = RATIOS.filter((pair) => pair.every((name) => names.includes(name)));
  if (ratios.length === 0) return;
  console.log("\nMedians of each round's ratio:\n");
  const headings = ratios.map((pair) => pair.join(" / "));
  table(headings, ({ name }, rows) => [name, ...ratios.map(([of, to]) => ratio(rows, of, to))]);
}

function table(
  headings: readonly string[],
  row: (figure: Figure, rows: ReadonlyMap<string, readonly number[]>) => readonly string[],
): void {
  console.log(`| | ${headings.join(" | ")} |`);
  console.log(`|---|${headings.map(() => "---|").join("")}`);
  for (const [figure, rows] of taken) console.log(`| ${row(figure, rows).join(" | ")} |`);
}

function ratio(rows: ReadonlyMap<string, readonly number[]>, of: string, to: string): string {
  const below = rows.get(to) ?? [];
  return median((rows.get(of) ?? []).map((each, i) => each / (below[i] ?? Number.NaN))).toFixed(2);
}

try {
  for (const [i, { name, up }] of designs.entries()) {
    const standing = await up(`skd${process.pid}${i}`, offloads);
    standings.set(name, standing);
    settle(standing);
  }
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, standing] of standings) {
      for (const { figures, take } of measures) {
        const values = await take(standing, SECONDS);
        for (const [i, figure] of figures.entries()) note(figure, name, values[i] ?? Number.NaN);
      }
    }
    process.stderr.write(`round ${round + 1} of ${ROUNDS}\n`);
  }
  print();
} finally {
  for (const standing of standings.values()) await standing.down();
}
