// skein capture: the frames of a network, for a person, a file or another program.
import { closeSync, fchmodSync, openSync, writeSync } from "node:fs";
import { messageOf } from "../../common/fault.js";
import { type Cli, Failure } from "../cli.js";
import type { Handler } from "../command.js";
import { segment } from "../http/api.js";
import { reading } from "../http/failure.js";
import { number, parseJson } from "../json.js";
import { FrameReader } from "../stream/frames.js";
import { INTERRUPTED_EXIT } from "../term/interrupt.js";

/** What captures are: other people's passwords. */
const FILE_MODE = 0o600;

interface Counts {
  captured: number;
  seen: number;
  dropped: number;
}

export const capture: Handler = async (cli, { args, flags }) => {
  const [network = "", ...filter] = args;
  const file = flags.text("write");
  const count = flags.number("count");
  const stop = new AbortController();
  const path = `/skein/v1/networks/${segment("network", network)}/capture`;
  const query = {
    ...(flags.text("host") === "" ? {} : { host: flags.text("host") }),
    ...(filter.length === 0 ? {} : { filter: filter.join(" ") }),
    ...(count === 0 ? {} : { count }),
    snaplen: flags.number("snaplen"),
    lines: file === "" ? 1 : 0,
  };
  if (file === "-" && cli.out.isTerminal) {
    throw new Failure("a capture is no text: pipe it (skein capture -w - NETWORK | tcpdump -r -)");
  }
  const forget = [
    cli.onSignal("SIGINT", () => stop.abort()),
    cli.onSignal("SIGTERM", () => stop.abort()),
  ];
  const counts: Counts = { captured: 0, seen: 0, dropped: 0 };
  try {
    const answer = await cli.api.stream("GET", path, { query, signal: stop.signal });
    const sink = sinkFor(cli, file);
    try {
      cli.err.write(`capturing on ${network}${where(flags.text("host"))}; end it with Ctrl-C\n`);
      await copy(answer, sink, counts);
    } finally {
      sink.close();
    }
  } catch (error) {
    if (!stop.signal.aborted) throw error;
  } finally {
    for (const each of forget) each();
  }
  // Also after Ctrl-C, which is how a capture ends.
  for (const line of countLines(counts)) cli.err.write(`${line}\n`);
  return stop.signal.aborted && count > 0 && counts.captured < count ? INTERRUPTED_EXIT : 0;
};

function where(host: string): string {
  return host === "" ? "" : ` of ${host}`;
}

function countLines({ captured, seen, dropped }: Counts): string[] {
  const frames = (n: number) => `${n} ${n === 1 ? "frame" : "frames"}`;
  return [
    `${frames(captured)} captured`,
    `${frames(seen)} seen`,
    `${frames(dropped)} dropped by kernel`,
  ];
}

interface Sink {
  write(bytes: Uint8Array): Promise<void>;
  close(): void;
}

function sinkFor(cli: Cli, file: string): Sink {
  if (file === "" || file === "-") {
    return {
      async write(bytes) {
        cli.out.write(bytes);
        await cli.out.drained?.();
      },
      close() {},
    };
  }
  try {
    const fd = openSync(file, "w", FILE_MODE);
    // One that was there already keeps its mode otherwise.
    fchmodSync(fd, FILE_MODE);
    return {
      async write(bytes) {
        for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
      },
      close: () => closeSync(fd),
    };
  } catch (error) {
    throw new Failure(`cannot write ${file}: ${messageOf(error)}`);
  }
}

async function copy(answer: AsyncIterable<Uint8Array>, sink: Sink, counts: Counts) {
  const frames = new FrameReader();
  let notes = "";
  let trouble = "";
  for await (const chunk of reading(answer)) {
    for (const { stream, payload } of frames.push(Buffer.from(chunk))) {
      if (stream === "stdout") await sink.write(payload);
      else if (stream === "daemon") trouble += Buffer.from(payload).toString("utf8");
      else notes = heard(notes + Buffer.from(payload).toString("utf8"), counts);
    }
  }
  if (trouble !== "") throw new Failure(`Error response from daemon: ${trouble}`);
}

/** Takes note of whole lines; the rest is for the next time. */
function heard(text: string, counts: Counts): string {
  const lines = text.split("\n");
  const rest = lines.pop() ?? "";
  const last = parseJson(lines.at(-1) ?? "");
  if (last !== undefined) {
    counts.captured = number(last, "Captured");
    counts.seen = number(last, "Seen");
    counts.dropped = number(last, "Dropped");
  }
  return rest;
}
