import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { expect, test } from "vitest";
import { ManualClock } from "../../test/fakes/manual-clock.js";
import { flowTable } from "../host/flow-table.js";
import type { FlowTable } from "../seams.js";
import { FlowWatch } from "./flow-watch.js";

const RESYNC_MS = 10_000;

function watched(table: FlowTable | undefined) {
  const clock = new ManualClock();
  const lines: { readonly level: number; readonly msg: string }[] = [];
  const log = pino({ base: null }, { write: (line) => void lines.push(JSON.parse(line)) });
  const now = { table };
  const watch = new FlowWatch(() => now.table, clock, log);
  const stop = new AbortController();
  const followed = watch.follow({ resyncMs: RESYNC_MS }, stop.signal);
  const end = async () => {
    stop.abort();
    await followed;
  };
  return { clock, now, watch, messages: () => lines.map(({ msg }) => msg), end };
}

test("a table with room is nothing to speak of, nor are drops of long ago", async () => {
  const { watch, messages, end } = watched({ entries: 10, max: 100, dropped: 7 });
  expect(watch.warnings()).toEqual([]);
  await end();
  expect(messages()).toEqual([]);
});

test("a kernel that keeps no table is nothing to speak of", async () => {
  const { watch, clock, messages, end } = watched(undefined);
  await clock.advance(RESYNC_MS);
  expect([watch.warnings(), messages()]).toEqual([[], []]);
  await end();
});

test("nearly full, full, and room again are each said once", async () => {
  const { clock, now, watch, messages, end } = watched({ entries: 90, max: 100, dropped: 0 });
  await clock.advance(2 * RESYNC_MS);
  expect(messages()).toEqual([
    "the kernel's table of connections is nearly full (nf_conntrack_max)",
  ]);
  expect(watch.warnings()).toEqual([
    "The kernel's table of connections is nearly full (90 of 100 entries): new ones will be dropped. Raise net.netfilter.nf_conntrack_max with sysctl.",
  ]);
  now.table = { entries: 100, max: 100, dropped: 5 };
  // Whoever asks in between takes nothing away from the log.
  await clock.advance(1);
  expect(watch.warnings()).toEqual([
    "The kernel's table of connections was full and new connections were dropped (100 of 100 entries now, 5 dropped). Raise net.netfilter.nf_conntrack_max with sysctl.",
  ]);
  await clock.advance(RESYNC_MS);
  now.table = { entries: 3, max: 100, dropped: 5 };
  await clock.advance(RESYNC_MS);
  expect(messages().slice(1)).toEqual([
    "the kernel's table of connections is full (nf_conntrack_max)",
    "the kernel's table of connections has room again",
  ]);
  // It is remembered for those who wonder what failed.
  expect(watch.warnings()).toHaveLength(1);
  await clock.advance(600_000);
  expect(watch.warnings()).toEqual([]);
  await end();
});

test("the kernel's own words are read: of each processor, in hexadecimal", () => {
  const proc = mkdtempSync(join(tmpdir(), "skein-proc-"));
  try {
    expect(flowTable(proc)).toBeUndefined();
    mkdirSync(join(proc, "sys/net/netfilter"), { recursive: true });
    mkdirSync(join(proc, "net/stat"), { recursive: true });
    writeFileSync(join(proc, "sys/net/netfilter/nf_conntrack_count"), "12\n");
    writeFileSync(join(proc, "sys/net/netfilter/nf_conntrack_max"), "262144\n");
    const rows = "entries  clashres found insert_failed drop early_drop\n";
    const cpus = "0000000c  00000000 00000000 00000001 0000000a 00000002\n".repeat(2);
    writeFileSync(join(proc, "net/stat/nf_conntrack"), rows + cpus);
    expect(flowTable(proc)).toEqual({ entries: 12, max: 262_144, dropped: 20 });
  } finally {
    rmSync(proc, { recursive: true });
  }
});
