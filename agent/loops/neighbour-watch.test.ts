import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, expect, test } from "vitest";
import { ManualClock } from "../../test/fakes/manual-clock.js";
import { linuxNeighbourTables } from "../host/neighbour-tables.js";
import { NeighbourWatch } from "./neighbour-watch.js";

// As Linux 6.18 shows it, a row for each processor.
const HEAD =
  "entries  allocs   destroys hash_grows lookups  hits     res_failed rcv_probes_mcast rcv_probes_ucast periodic_gc_runs forced_gc_runs unresolved_discards table_fulls";
const made: string[] = [];

/** A machine whose kernel has the two tables; `limits`: of IPv4, the first to the third. */
function machine(limits: readonly number[] = [128, 512, 1024]) {
  const proc = mkdtempSync(join(tmpdir(), "skein-neighbours-"));
  made.push(proc);
  mkdirSync(`${proc}/net/stat`, { recursive: true });
  const setting = (family: 4 | 6, n: number) =>
    `${proc}/sys/net/ipv${family}/neigh/default/gc_thresh${n}`;
  for (const family of [4, 6] as const) {
    mkdirSync(join(setting(family, 1), ".."), { recursive: true });
    for (const [i, limit] of limits.entries()) writeFileSync(setting(family, i + 1), `${limit}\n`);
  }
  const count = (forced: number, full: number, table = "arp_cache") => {
    const row = (n: number) => n.toString(16).padStart(8, "0");
    const rows = [0, 1].map((cpu) => {
      const numbers = Array<number>(13).fill(0);
      numbers[10] = cpu * forced;
      numbers[12] = cpu * full;
      return numbers.map(row).join(" ");
    });
    writeFileSync(`${proc}/net/stat/${table}`, [HEAD, ...rows, ""].join("\n"));
  };
  count(7, 3);
  count(0, 0, "ndisc_cache");
  const clock = new ManualClock();
  const lines: { readonly msg: string }[] = [];
  const log = pino({ base: null }, { write: (line) => void lines.push(JSON.parse(line)) });
  const watch = new NeighbourWatch(linuxNeighbourTables(proc), clock, log);
  const found = () => watch.findings().map(({ what }) => what);
  const limit = (family: 4 | 6, n: number) => Number(readFileSync(setting(family, n), "utf8"));
  return { proc, count, clock, watch, found, limit, lines };
}
afterEach(() => {
  for (const each of made.splice(0)) rmSync(each, { recursive: true, force: true });
});

test("what was full before this agent looked is no news", () => {
  expect(machine().found()).toEqual([]);
});

test("a table that refuses rows is told of for ten minutes, with the setting", async () => {
  const { found, count, clock, watch } = machine();
  found();
  count(20, 15);
  expect(found()).toEqual([
    "The kernel's table of IPv4 neighbours was full and took 12 new ones not in: what was sent to them was lost.",
  ]);
  expect(watch.findings()[0]).toMatchObject({
    where: "arp_cache",
    remedy: expect.stringContaining("net.ipv4.neigh.default.gc_thresh3"),
  });
  await clock.advance(500_000);
  expect(found()).toHaveLength(1);
  await clock.advance(200_000);
  expect(found()).toEqual([]);
});

test("a table that the kernel has to clear for room is nearly full", () => {
  const { found, count } = machine();
  found();
  count(9, 0, "ndisc_cache");
  expect(found()).toEqual([
    "The kernel's table of IPv6 neighbours is filling up: it has more than 512 of at most 1024 rows, and the kernel clears it for room.",
  ]);
});

test("a node's limits are raised, never lowered, and that is logged", () => {
  const { watch, limit, lines, proc } = machine();
  writeFileSync(`${proc}/sys/net/ipv6/neigh/default/gc_thresh3`, "100000\n");
  watch.makeRoom();
  expect([1, 2, 3].map((n) => limit(4, n))).toEqual([8192, 49152, 65536]);
  expect([1, 2, 3].map((n) => limit(6, n))).toEqual([8192, 49152, 100_000]);
  expect(lines.map(({ msg }) => msg)).toEqual([
    "raised the limits of the kernel's table of IPv4 neighbours",
    "raised the limits of the kernel's table of IPv6 neighbours",
  ]);
  watch.makeRoom();
  expect(lines).toHaveLength(2);
});

test("a namespace that is not the machine's own shows neither, and nothing is said", () => {
  const { watch, found, lines, proc } = machine();
  rmSync(proc, { recursive: true });
  watch.makeRoom();
  expect([found(), lines]).toEqual([[], []]);
});
