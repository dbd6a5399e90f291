// What of a container is a stream: its logs, its end, and its terminal or pipes.
import { PassThrough } from "node:stream";
import { isRefusal } from "../../common/fault.js";
import type { Container } from "../seams.js";
import { type Answer, stream } from "./answer.js";
import { keepStreams } from "./attach-stream.js";
import { type Call, param, queryFlag, queryText } from "./call.js";
import { badRequest, HttpError, here } from "./http-error.js";
import { type Route, route } from "./router.js";
import { parseWhen } from "./times.js";
import type { ApiMinor } from "./version.js";

// Docker Engine API history: v1.42 tells streams with headers from raw ones by their type.
const MULTIPLEXED_SINCE: ApiMinor = 42;
const RAW = "application/vnd.docker.raw-stream";
const MULTIPLEXED = "application/vnd.docker.multiplexed-stream";
const NS_PER_MS = 1_000_000n;

export const STREAM_ROUTES: readonly Route[] = [
  route("GET", "/containers/{id}/logs", logs),
  route("POST", "/containers/{id}/wait", wait),
  route("POST", "/containers/{id}/attach", attach),
];

export function streamType(call: Call, tty: boolean): string {
  return !tty && call.version >= MULTIPLEXED_SINCE ? MULTIPLEXED : RAW;
}

function logs(call: Call): Answer {
  const container = here(call.node.containers.get(param(call, "id")));
  const [stdout, stderr] = [queryFlag(call, "stdout"), queryFlag(call, "stderr")];
  if (!stdout && !stderr) {
    throw badRequest("Bad parameters: you must choose at least one stream");
  }
  const nowMs = call.clock.nowMs();
  const when = (name: string) =>
    Number((parseWhen(queryText(call, name), nowMs, name) ?? 0n) / NS_PER_MS);
  const options = {
    stdout,
    stderr,
    follow: queryFlag(call, "follow"),
    timestamps: queryFlag(call, "timestamps"),
    tail: tailOf(queryText(call, "tail")),
    sinceMs: when("since"),
    untilMs: when("until"),
  };
  const lines = here(call.node.containers.logs(container.id, options, call.signal));
  return stream(streamType(call, container.spec.tty), lines);
}

// "all", and what is no number, mean everything, as in dockerd.
function tailOf(written: string): number | undefined {
  return /^\d{1,9}$/.test(written) ? Number(written) : undefined;
}

const CONDITIONS = ["not-running", "next-exit", "removed"] as const;

/** The headers go out at once: the CLI starts the container only after it has them. */
function wait(call: Call): Answer {
  const container = here(call.node.containers.get(param(call, "id")));
  const written = queryText(call, "condition") || "not-running";
  const condition = CONDITIONS.find((each) => each === written);
  if (!condition) throw badRequest(`invalid condition: "${written}"`);
  // Asked for before the headers are sent, so that an exit in between is not missed.
  const ended = call.node.containers.wait(container.id, condition, call.signal);
  ended.catch(() => undefined);
  return stream("application/json", endOf(ended));
}

async function* endOf(
  ended: ReturnType<Call["node"]["containers"]["wait"]>,
): AsyncGenerator<string> {
  const end = await ended;
  const error = isRefusal(end) ? end.message : end.error;
  const StatusCode = isRefusal(end) ? 125 : end.exitCode;
  yield `${JSON.stringify({ Error: error === "" ? null : { Message: error }, StatusCode })}\n`;
}

function attach(call: Call): Answer {
  const container = here(call.node.containers.get(param(call, "id")));
  const flag = (name: string) => queryFlag(call, name);
  const [stdin, logsToo, live] = [flag("stdin"), flag("logs"), flag("stream")];
  const kept = { stdout: flag("stdout"), stderr: flag("stderr") };
  if (!live) return pastOnly(call, container, logsToo);
  if (container.state === "removing" || container.state === "dead") {
    throw new HttpError(409, `container ${container.id} is ${container.state}`);
  }
  const duplex = here(
    call.node.containers.attach(container.id, {
      stdin: stdin && container.spec.openStdin,
      logs: logsToo,
    }),
  );
  const tty = container.spec.tty;
  const shown = tty ? duplex : keepStreams(duplex, kept);
  return { kind: "hijack", contentType: streamType(call, tty), stream: shown };
}

/** Without `stream` it is what was, and no more. */
function pastOnly(call: Call, container: Container, logsToo: boolean): Answer {
  const options = {
    stdout: queryFlag(call, "stdout"),
    stderr: queryFlag(call, "stderr"),
    follow: false,
    timestamps: false,
    tail: undefined,
    sinceMs: 0,
    untilMs: 0,
  };
  const past = logsToo
    ? here(call.node.containers.logs(container.id, options, call.signal))
    : new PassThrough().end();
  return stream(streamType(call, container.spec.tty), past);
}
