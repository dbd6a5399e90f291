// skein trace: what becomes of a flow, step by step.
import { type Cli, Failure } from "../cli.js";
import type { Handler } from "../command.js";
import { type Json, number, text } from "../json.js";
import { jsonLines } from "../stream/lines.js";
import { interruptible } from "../term/interrupt.js";

const MARKS: Readonly<Record<string, string>> = { pass: "ok", stop: "STOPS", doubt: "?" };

export const trace: Handler = async (cli, { args, flags }) => {
  const [from = "", to = ""] = args;
  const wait = Math.ceil(flags.nanoseconds("timeout") / 1e6);
  if (wait < 1) throw new Failure("--timeout must be at least 1ms");
  const asJson = flags.bool("json");
  return interruptible(cli, async (signal) => {
    const answer = await cli.api.stream("GET", "/skein/v1/trace", {
      query: { from, to, wait },
      signal,
    });
    let result = "";
    for await (const { json, text: line } of jsonLines(answer)) {
      const message = text(json, "message");
      if (message !== "") throw new Failure(`Error response from daemon: ${message}`);
      result = text(json, "Result") || result;
      if (asJson) cli.out.write(`${line}\n`);
      else show(cli, json, to);
    }
    if (result === "") throw new Failure("The Skein agent ended the trace before it was done");
    return result === "arrives" ? 0 : 1;
  });
};

function show(cli: Cli, json: Json, to: string): void {
  const result = text(json, "Result");
  if (result !== "") {
    cli.out.write(`\n${conclusion(json, result)}\n`);
    return;
  }
  const at = text(json, "At");
  if (at === "") {
    const address = text(json, "To", "Address");
    const port = number(json, "To", "Port");
    const target =
      port === 0 ? address : address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
    const name = text(json, "To", "Name");
    const known = name === address || address === "" ? to : `${to} (${target})`;
    const source = `${text(json, "From", "Name")} (${text(json, "From", "Address")} on ${text(json, "From", "Node")})`;
    cli.out.write(`${source} → ${known}, ${text(json, "To", "Protocol")}\n\n`);
    return;
  }
  const mark = MARKS[text(json, "Verdict")] ?? "?";
  cli.out.write(
    `${text(json, "Node").padEnd(8)} ${at.padEnd(9)} ${mark.padEnd(5)} ${text(json, "What")}\n`,
  );
}

function conclusion(json: Json, result: string): string {
  if (result === "arrives") return "It arrives, and is answered.";
  const node = text(json, "Node");
  const where = node === "" ? "" : ` on ${node}`;
  const why = text(json, "Why");
  return result === "stops"
    ? `It stops${where}: ${why}`
    : `Whether it arrives is not known${where}: ${why}`;
}
