// skein top NETWORK: who sends how much to whom, drawn again each second.
import { type Cli, Failure } from "../cli.js";
import { align, LIST_SHAPE } from "../format/table.js";
import { bytesSize } from "../format/units.js";
import { segment } from "../http/api.js";
import { items, type Json, number, strings, text } from "../json.js";
import { jsonLines } from "../stream/lines.js";
import { INTERRUPTED_EXIT } from "../term/interrupt.js";
import { LiveArea } from "../term/live.js";

// Choice: as many pairs and endpoints as a person reads, where there is no window to fit.
const ROWS = 20;
const WHOLE = 0.95;

export interface TopWish {
  /** One interval of every node, and the end. */
  readonly once: boolean;
  readonly json: boolean;
}

export async function networkTop(cli: Cli, network: string, wish: TopWish): Promise<number> {
  const path = `/skein/v1/networks/${segment("network", network)}/rates`;
  const stop = new AbortController();
  const forget = [
    cli.onSignal("SIGINT", () => stop.abort()),
    cli.onSignal("SIGTERM", () => stop.abort()),
  ];
  const area = cli.out.isTerminal && !wish.json ? new LiveArea(cli.out) : undefined;
  const latest = new Map<string, Json>();
  let head: Json;
  /** Intervals told since the last page. */
  let told = 0;
  let interrupted = false;
  try {
    const answer = await cli.api.stream("GET", path, { signal: stop.signal });
    for await (const { json, text: line } of jsonLines(answer)) {
      const message = text(json, "message");
      if (message !== "") throw new Failure(`Error response from daemon: ${message}`);
      if (wish.json) cli.out.write(`${line}\n`);
      if (head === undefined) {
        head = json;
        continue;
      }
      latest.set(text(json, "Node"), json);
      told++;
      const isWhole = strings(head, "Nodes").every((node) => latest.has(node));
      if (wish.once && isWhole) break;
      if (wish.once || wish.json || !isWhole) continue;
      // A node that cannot answer tells nothing more.
      if (told < latest.size - failures(latest)) continue;
      told = 0;
      const page = pageOf(head, latest, area === undefined ? ROWS : fitting(cli));
      if (area !== undefined) area.show(page);
      else cli.out.write(`${page.join("\n")}\n\n`);
    }
  } catch (error) {
    if (!stop.signal.aborted) throw error;
  } finally {
    for (const each of forget) each();
    interrupted = stop.signal.aborted;
    stop.abort();
  }
  if (head !== undefined && wish.once && !wish.json) {
    cli.out.write(`${pageOf(head, latest, ROWS).join("\n")}\n`);
  }
  const failed = failures(latest);
  if (wish.once) return failed > 0 || latest.size === 0 ? 1 : 0;
  return interrupted && failed < latest.size ? INTERRUPTED_EXIT : 1;
}

function failures(latest: ReadonlyMap<string, Json>): number {
  return [...latest.values()].filter((node) => text(node, "Error") !== "").length;
}

/** Rows of each of two tables that fit the window, beside their headings and a few lines for drops. */
function fitting({ out }: Cli): number {
  return Math.max(3, Math.floor((out.rows - 12) / 2));
}

function pageOf(head: Json, latest: ReadonlyMap<string, Json>, rows: number): string[] {
  const nodes = [...latest];
  const table = (lines: readonly (readonly string[])[]) =>
    align(lines.map((line) => line.join("\t")).join("\n"), LIST_SHAPE)
      .split("\n")
      .map((line) => line.trimEnd());
  const pairs = nodes
    .flatMap(([, node]) => items(node, "Pairs"))
    .sort((a, b) => number(b, "Bytes") - number(a, "Bytes"));
  const ends = nodes
    .flatMap(([node, json]) => items(json, "Endpoints").map((end) => ({ node, end })))
    .sort((a, b) => total(b.end) - total(a.end));
  const drops = nodes.flatMap(([node, json]) =>
    items(json, "Drops").map((drop) => ({ node, drop })),
  );
  // A few that wait for the next interval are no news.
  const sampled = nodes.filter(
    ([, json]) => number(json, "LookedAt") < WHOLE * number(json, "Came"),
  );
  return [
    `Network ${text(head, "Network", "Name")}, per second`,
    "",
    ...table([
      ["FROM", "TO", "BYTES", "FRAMES"],
      ...pairs
        .slice(0, rows)
        .map((pair) => [
          named(pair, "From"),
          named(pair, "To"),
          bytesSize(number(pair, "Bytes")),
          String(number(pair, "Frames")),
        ]),
    ]),
    ...more(pairs.length - rows, "pairs"),
    "",
    ...table([
      ["ENDPOINT", "NODE", "SENT", "FRAMES", "RECEIVED", "FRAMES"],
      ...ends
        .slice(0, rows)
        .map(({ node, end }) => [
          `${shortened(text(end, "Name"))} ${text(end, "Address")}`,
          node,
          bytesSize(number(end, "SentBytes")),
          String(number(end, "SentFrames")),
          bytesSize(number(end, "ReceivedBytes")),
          String(number(end, "ReceivedFrames")),
        ]),
    ]),
    ...more(ends.length - rows, "endpoints"),
    ...(drops.length === 0
      ? []
      : [
          "",
          ...table([
            ["DROPPED", "NODE", "WHERE", "A SECOND", "IN ALL"],
            ...drops.map(({ node, drop }) => [
              text(drop, "Reason"),
              node,
              text(drop, "Where"),
              String(number(drop, "PerSecond")),
              String(number(drop, "Count")),
            ]),
          ]),
        ]),
    ...sampled.map(([node, json]) => {
      const seen = `${number(json, "LookedAt")} of ${number(json, "Came")} frames`;
      return `${node}: pairs are estimated from ${seen}; endpoints are exact.`;
    }),
    ...nodes.flatMap(([node, json]) =>
      text(json, "Error") === "" ? [] : [`${node}: ${text(json, "Error")}`],
    ),
  ];
}

function total(end: Json): number {
  return number(end, "SentBytes") + number(end, "ReceivedBytes");
}

function more(count: number, what: string): string[] {
  return count > 0 ? [`… and ${count} more ${what}`] : [];
}

function named(pair: Json, side: "From" | "To"): string {
  const address = text(pair, side);
  if (address === "") return "(others)";
  const name = text(pair, `${side}Name`);
  return name === "" ? address : `${shortened(name)} ${address}`;
}

/** Of SERVICE.SLOT.TASK without the id. */
function shortened(name: string): string {
  return name.replace(/(\.[a-z0-9]{25}){1,2}$/, "");
}
