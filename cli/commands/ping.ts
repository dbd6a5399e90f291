// skein ping: everything on a network pings everything on it.
import { type Cli, Failure } from "../cli.js";
import type { Handler } from "../command.js";
import { segment } from "../http/api.js";
import { text } from "../json.js";
import { PingReport } from "../ping/report.js";
import { beside, matrixLines } from "../ping/table.js";
import { type JsonLine, jsonLines } from "../stream/lines.js";
import { interruptible } from "../term/interrupt.js";
import { LiveArea } from "../term/live.js";

export const ping: Handler = async (cli, { args, flags }) => {
  const path = `/skein/v1/networks/${segment("network", args[0] ?? "")}/ping`;
  const body = {
    Count: flags.number("count"),
    TimeoutMs: Math.ceil(flags.nanoseconds("timeout") / 1e6),
    SizeBytes: flags.number("size"),
  };
  if (body.Count < 1) throw new Failure("--count must be at least 1");
  if (body.TimeoutMs < 1) throw new Failure("--timeout must be at least 1ms");
  const report = await interruptible(cli, async (signal) => {
    const answer = await cli.api.stream("POST", path, { body, signal });
    const results = jsonLines(answer);
    return flags.bool("json") ? printJson(cli, results) : printTable(cli, results);
  });
  const failures = report?.failures() ?? [];
  if (failures.length === 0) return 0;
  if (!flags.bool("json")) cli.out.write(`\n${failures.join("\n")}\n`);
  return 1;
};

type Results = AsyncIterable<JsonLine>;

async function printJson(cli: Cli, results: Results): Promise<PingReport | undefined> {
  return read(results, (_report, line) => cli.out.write(`${line}\n`));
}

async function printTable(cli: Cli, results: Results): Promise<PingReport | undefined> {
  const area = cli.out.isTerminal ? new LiveArea(cli.out) : undefined;
  const report = await read(results, (known) => area?.show(page(cli, known)));
  if (report === undefined) return undefined;
  if (area !== undefined) area.finish(page(cli, report));
  else cli.out.write(`${page(cli, report).join("\n")}\n`);
  return report;
}

function page(cli: Cli, report: PingReport): string[] {
  const underlay = matrixLines(report.underlay());
  return beside(matrixLines(report.overlay()), underlay, cli.out.isTerminal ? cli.out.columns : 0);
}

async function read(
  results: Results,
  onLine: (report: PingReport, line: string) => void,
): Promise<PingReport | undefined> {
  let report: PingReport | undefined;
  for await (const { json, text: line } of results) {
    // An agent that fails half way says so in a line of its own, as Docker's streams do.
    const message = text(json, "message");
    if (message !== "") throw new Failure(`Error response from daemon: ${message}`);
    if (report === undefined) report = new PingReport(json);
    else report.add(json);
    onLine(report, line);
  }
  return report;
}
