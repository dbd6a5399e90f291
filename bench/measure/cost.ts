// What a host's daemons cost: CPU time and memory, from /proc.
import { readdirSync, readFileSync } from "node:fs";
import { type Lab, run } from "../../test/netns/lab.js";

const SECONDS = Number(process.env["IDLE_SECONDS"] ?? 30);
const SETTLE_SECONDS = 25;

interface Cost {
  readonly cpuSeconds: number;
  readonly rssMiB: number;
  /** Memory that several processes share counts for each by its part only. */
  readonly pssMiB: number;
  readonly wakeups: number;
}

function cost(pid: string): Cost {
  const text = (file: string) => readFileSync(`/proc/${pid}/${file}`, "utf8");
  const field = (file: string, name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(text(file))?.[1] ?? 0);
  const stat = text("stat")
    .replace(/^.*\) /, "")
    .split(" ");
  return {
    // proc(5): utime and stime are fields 14 and 15, in ticks of 1/100 s on Linux.
    cpuSeconds: (Number(stat[11]) + Number(stat[12])) / 100,
    rssMiB: field("smaps_rollup", "Rss") / 1024,
    pssMiB: field("smaps_rollup", "Pss") / 1024,
    wakeups: field("status", "voluntary_ctxt_switches"),
  };
}

/** Every process of the lab that is ours or containerd's, by host and program. containerd is one for all hosts. */
function daemons(lab: Lab): readonly { readonly name: string; readonly pid: string }[] {
  const found: { name: string; pid: string }[] = [];
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    const name = nameOf(lab, commandOf(pid));
    if (name !== undefined) found.push({ name, pid });
  }
  return found.sort((a, b) => a.name.localeCompare(b.name));
}

function nameOf(lab: Lab, command: string): string | undefined {
  const socket = `/skein-lab/${lab.name}/containerd/`;
  if (/^\S*containerd --config /.test(command) && command.includes(socket)) return "containerd";
  if (/^\S*containerd-shim/.test(command) && command.includes(socket)) {
    return `${/-namespace \S+-(h\d+)/.exec(command)?.[1]} shim of containerd`;
  }
  const host = new RegExp(`/skein-lab/${lab.name}/(h\\d+)/`).exec(command)?.[1];
  const program = /\/dist\/(?:(agent|manager)\/main|agent\/runtime\/(shim))\.js/.exec(command);
  return host && program ? `${host} ${program[1] ?? program[2]}` : undefined;
}

/** What has crossed each host's cable so far, both ways. */
async function bytes(lab: Lab): Promise<readonly number[]> {
  const shown = await run("ip", ["-n", `skein-${lab.name}`, "-s", "-j", "link", "show"]);
  const links = JSON.parse(shown.stdout) as {
    ifname: string;
    stats64: Record<"rx" | "tx", { bytes: number }>;
  }[];
  return lab.hosts.map(({ name }) => {
    const stats = links.find(({ ifname }) => ifname === name)?.stats64;
    return (stats?.rx.bytes ?? 0) + (stats?.tx.bytes ?? 0);
  });
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
  } catch {
    return "";
  }
}

export async function idle(lab: Lab, what: string): Promise<void> {
  // What was just made has its own end: certificates, garbage (collected after ten quiet seconds), the first looks again.
  await new Promise((wake) => setTimeout(wake, SETTLE_SECONDS * 1_000));
  const all = daemons(lab);
  const before = all.map(({ pid }) => cost(pid));
  const sent = await bytes(lab);
  await new Promise((wake) => setTimeout(wake, SECONDS * 1_000));
  const crossed = (await bytes(lab)).map((now, i) => (now - (sent[i] ?? 0)) / SECONDS);
  console.log(`\n| idle: ${what} | CPU, % of one core | wake-ups/s | RSS, MiB | PSS, MiB |`);
  console.log("|---|---|---|---|---|");
  const rows = all.map(({ name, pid }, i) => ({ name, from: before[i], to: cost(pid) }));
  for (const name of new Set(rows.map((row) => row.name))) {
    const mine = rows.filter((row) => row.name === name);
    const sum = (of: (row: (typeof rows)[number]) => number) =>
      mine.reduce((total, row) => total + of(row), 0);
    const percent = sum(({ from, to }) => to.cpuSeconds - (from?.cpuSeconds ?? 0)) / SECONDS;
    const wakeups = sum(({ from, to }) => to.wakeups - (from?.wakeups ?? 0)) / SECONDS;
    const label = mine.length > 1 ? `${name}, ${mine.length} of them, together` : name;
    const cells = [percent * 100, wakeups, sum(({ to }) => to.rssMiB), sum(({ to }) => to.pssMiB)];
    const digits = [2, 1, 0, 0];
    console.log(`| ${label} | ${cells.map((cell, i) => cell.toFixed(digits[i])).join(" | ")} |`);
  }
  const each = lab.hosts.map(({ name }, i) => `${name} ${crossed[i]?.toFixed(0)} B/s`);
  console.log(`\nOn the wire, both ways: ${each.join(", ")}.`);
}
