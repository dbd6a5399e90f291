// skein ping: everything on a network pings everything on it.
import { type Cli, Failure } from "../cli.js";
import type { Handler } from "../command.js";
import { segment } from "../http/api.js";
import { text } from "../json.js";
import { PingReport } from "../ping/report.js";
import { beside, matrixLines } from "../ping/table.js";
import { type JsonLine, jsonLines } from "../stream/lines.js";
import { INTERRUPTED_EXIT } from "../term/interrupt.js";
import { LiveArea } from "../term/live.js";

// Choice: one node that is down makes as many pairs fail as there are endpoints.
const FAILURES_MAX = 100;

export const ping: Handler = async (cli, { args, flags }) => {
  const path = `/skein/v1/networks/${segment("network", args[0] ?? "")}/ping`;
  const body = {
    Count: flags.number("count"),
    TimeoutMs: Math.ceil(flags.nanoseconds("timeout") / 1e6),
    SizeBytes: flags.number("size"),
    ...(flags.text("from") === "" ? {} : { From: flags.text("from") }),
  };
  if (body.Count < 1) throw new Failure("--count must be at least 1");
  if (body.TimeoutMs < 1) throw new Failure("--timeout must be at least 1ms");
  const asJson = flags.bool("json");
  const stop = new AbortController();
  const forget = [
    cli.onSignal("SIGINT", () => stop.abort()),
    cli.onSignal("SIGTERM", () => stop.abort()),
  ];
  const area = cli.out.isTerminal && !asJson ? new LiveArea(cli.out) : undefined;
  let known: PingReport | undefined;
  try {
    const answer = await cli.api.stream("POST", path, { body, signal: stop.signal });
    await read(jsonLines(answer), (report, line) => {
      known = report;
      if (asJson) cli.out.write(`${line}\n`);
      else area?.show(() => page(cli, report));
    });
  } catch (error) {
    // How an interrupted wait broke off is nobody's concern; what came until then is.
    if (!stop.signal.aborted) throw error;
  } finally {
    for (const each of forget) each();
  }
  const failures = known?.failures(!stop.signal.aborted) ?? [];
  if (known !== undefined && !asJson) {
    const lines = page(cli, known);
    if (area !== undefined) area.finish(lines);
    else cli.out.write(`${lines.join("\n")}\n`);
    const shown = failures.slice(0, FAILURES_MAX);
    const rest = failures.length - shown.length;
    if (rest > 0) shown.push(`… and ${rest} more (--json has all)`);
    if (shown.length > 0) cli.out.write(`\n${shown.join("\n")}\n`);
  }
  if (stop.signal.aborted) return INTERRUPTED_EXIT;
  return failures.length === 0 ? 0 : 1;
};

function page(cli: Cli, report: PingReport): string[] {
  const columns = cli.out.isTerminal ? cli.out.columns : 0;
  const overlay = report
    .overlay()
    .flatMap((matrix, i) => [...(i > 0 ? [""] : []), ...matrixLines(matrix, columns)]);
  return beside(overlay, matrixLines(report.underlay(), columns), columns);
}

async function read(
  results: AsyncIterable<JsonLine>,
  onLine: (report: PingReport, line: string) => void,
): Promise<void> {
  let report: PingReport | undefined;
  for await (const { json, text: line } of results) {
    // An agent that fails half way says so in a line of its own, as Docker's streams do.
    const message = text(json, "message");
    if (message !== "") throw new Failure(`Error response from daemon: ${message}`);
    if (report === undefined) report = new PingReport(json);
    else report.add(json);
    onLine(report, line);
  }
}
