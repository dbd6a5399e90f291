// skein top, port, stats: looks into a running container.
import { type Cli, Failure } from "../cli.js";
import type { Handler } from "../command.js";
import { type Listing, renderListing } from "../format/listing.js";
import { bytesSize, shortId } from "../format/units.js";
import { DaemonError, segment } from "../http/api.js";
import { size } from "../image/progress.js";
import { at, items, type Json, list, number, object, strings, text } from "../json.js";
import { interruptible } from "../term/interrupt.js";
import { LiveArea } from "../term/live.js";
import { namesOf } from "./ps.js";

/** Of a container, or, where nothing is called so, of a network: its words may stand behind the name too. */
export const top: Handler = async (cli, { args, flags }) => {
  const [ref = "", ...rest] = args;
  const isNetworks = rest.every((word) => word === "--once" || word === "--json");
  const wish = {
    once: flags.bool("once") || rest.includes("--once"),
    json: flags.bool("json") || rest.includes("--json"),
  };
  if (isNetworks && (wish.once || wish.json || (await isNetwork(cli, ref)))) {
    return (await import("./network-top.js")).networkTop(cli, ref, wish);
  }
  return containerTop(cli, ref, rest);
};

async function isNetwork(cli: Cli, ref: string): Promise<boolean> {
  const isThere = async (path: string) => {
    try {
      await cli.api.get(path);
      return true;
    } catch (error) {
      if (error instanceof DaemonError && error.status === 404) return false;
      throw error;
    }
  };
  if (await isThere(`/containers/${segment("container", ref)}/json`)) return false;
  return isThere(`/networks/${segment("network", ref)}`);
}

async function containerTop(
  cli: Cli,
  ref: string,
  psArguments: readonly string[],
): Promise<number> {
  const query = psArguments.length === 0 ? {} : { ps_args: psArguments.join(" ") };
  const found = await cli.api.get(`/containers/${segment("container", ref)}/top`, { query });
  const rows = [
    strings(found, "Titles"),
    ...items(found, "Processes").map((row) => list(row).map(String)),
  ];
  const widths = rows[0]?.map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0))) ?? [];
  for (const row of rows) {
    // docker pads every column but the last to its widest value and three spaces more, 20 at least.
    const cells = row.map((cell, i) =>
      i === row.length - 1 ? cell : cell.padEnd(Math.max(20, (widths[i] ?? 0) + 3)),
    );
    cli.out.write(`${cells.join("")}\n`);
  }
  return 0;
}

export const port: Handler = async (cli, { args }) => {
  const [ref = "", wanted] = args;
  const found = await cli.api.get(`/containers/${segment("container", ref)}/json`);
  const ports = object(at(found, "NetworkSettings", "Ports"));
  const address = (binding: Json) => {
    const ip = text(binding, "HostIp");
    return `${ip.includes(":") ? `[${ip}]` : ip}:${text(binding, "HostPort")}`;
  };
  if (wanted !== undefined) {
    const name = wanted.includes("/") ? wanted : `${wanted}/tcp`;
    const bindings = list(ports[name]);
    if (bindings.length === 0) {
      throw new Failure(`Error: No public port '${name}' published for ${ref}`);
    }
    for (const binding of bindings) cli.out.write(`${address(binding)}\n`);
    return 0;
  }
  for (const name of Object.keys(ports).sort(
    (a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10),
  )) {
    for (const binding of list(ports[name])) cli.out.write(`${name} -> ${address(binding)}\n`);
  }
  return 0;
};

/** What `stats` shows of one container, from one answer of the API. */
interface StatsRow {
  readonly id: string;
  readonly name: string;
  readonly stats: Json;
}

// Docker's client draws twice a second; nobody reads faster.
const STATS_MS = 1_000;

export const stats: Handler = async (cli, { args, flags }) => {
  const options = { noTruncate: flags.bool("no-trunc"), format: flags.text("format") };
  const isLive = cli.out.isTerminal && !flags.bool("no-stream");
  const live = isLive ? new LiveArea(cli.out) : undefined;
  return interruptible(cli, async (signal) => {
    for (;;) {
      const rows = await measure(cli, args, flags.bool("all"), signal);
      const shown = renderListing(statsListing(options.noTruncate), rows, {
        format: options.format,
        quiet: false,
      });
      if (live) live.finish(shown.trimEnd().split("\n"));
      else cli.out.write(shown);
      if (flags.bool("no-stream")) return 0;
      await new Promise((resolve) => setTimeout(resolve, STATS_MS));
      signal.throwIfAborted();
    }
  });
};

async function measure(
  cli: Cli,
  refs: readonly string[],
  all: boolean,
  signal: AbortSignal,
): Promise<readonly StatsRow[]> {
  const query = all ? { all: 1 } : {};
  const named =
    refs.length > 0
      ? refs
      : list(await cli.api.get("/containers/json", { query, signal })).map(
          (row) => namesOf(row)[0] ?? text(row, "Id"),
        );
  return Promise.all(
    named.map(async (ref) => {
      const path = `/containers/${segment("container", ref)}/stats`;
      const found = await cli.api.get(path, { query: { stream: 0 }, signal });
      const name = text(found, "name").replace(/^\//, "") || ref;
      return { id: text(found, "id"), name, stats: found };
    }),
  );
}

function statsListing(noTruncate: boolean): Listing<StatsRow> {
  return {
    typeName: "*container.statsContext",
    table:
      "{{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}",
    quiet: "{{.ID}}",
    headers: {
      Container: "CONTAINER",
      ID: "CONTAINER ID",
      Name: "NAME",
      CPUPerc: "CPU %",
      MemUsage: "MEM USAGE / LIMIT",
      MemPerc: "MEM %",
      NetIO: "NET I/O",
      BlockIO: "BLOCK I/O",
      PIDs: "PIDS",
    },
    fields: ({ id, name, stats: found }) => {
      const used = memoryUsed(found);
      const limit = number(found, "memory_stats", "limit");
      return {
        Container: () => name,
        ID: () => (noTruncate ? id : shortId(id)),
        Name: () => name,
        CPUPerc: () => `${cpuPercent(found).toFixed(2)}%`,
        MemUsage: () => `${bytesSize(used)} / ${bytesSize(limit)}`,
        MemPerc: () => `${(limit === 0 ? 0 : (used / limit) * 100).toFixed(2)}%`,
        NetIO: () => pair(networkSum(found, "rx_bytes"), networkSum(found, "tx_bytes")),
        BlockIO: () => pair(blockSum(found, "read"), blockSum(found, "write")),
        PIDs: () => String(number(found, "pids_stats", "current")),
      };
    },
  };
}

/** Without the page cache that can go at any time. */
function memoryUsed(found: Json): number {
  const usage = number(found, "memory_stats", "usage");
  const counts = at(found, "memory_stats", "stats");
  const cache = number(counts, "total_inactive_file") || number(counts, "inactive_file");
  return cache < usage ? usage - cache : usage;
}

function cpuPercent(found: Json): number {
  const used = (key: string) => number(found, key, "cpu_usage", "total_usage");
  const system = (key: string) => number(found, key, "system_cpu_usage");
  const usedBy = used("cpu_stats") - used("precpu_stats");
  const passed = system("cpu_stats") - system("precpu_stats");
  const cpus = number(found, "cpu_stats", "online_cpus") || 1;
  return passed > 0 && usedBy > 0 ? (usedBy / passed) * cpus * 100 : 0;
}

function networkSum(found: Json, key: string): number {
  return Object.values(object(at(found, "networks"))).reduce<number>(
    (sum, one) => sum + number(one, key),
    0,
  );
}

function blockSum(found: Json, operation: string): number {
  return items(found, "blkio_stats", "io_service_bytes_recursive")
    .filter((one) => text(one, "op").toLowerCase() === operation)
    .reduce<number>((sum, one) => sum + number(one, "value"), 0);
}

function pair(a: number, b: number): string {
  const short = (bytes: number) => size(Number(bytes.toPrecision(3)));
  return `${short(a)} / ${short(b)}`;
}
