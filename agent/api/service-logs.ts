// /services/{id}/logs and /tasks/{id}/logs: what tasks wrote, on whichever node, as one stream.
import type { ClientReadableStream, ServiceError } from "@grpc/grpc-js";
import { isRefusal } from "../../common/fault.js";
import { rpcWords } from "../../common/grpc/rpc-words.js";
import { refusalOrFault } from "../../common/grpc/status.js";
import { type LogMessage, LogStream } from "../../proto/gen/control.js";
import type { TaskSpec } from "../../proto/gen/service.js";
import { sentenceOf } from "../member/fault-sentence.js";
import { type Answer, stream } from "./answer.js";
import { type Call, param, queryFlag, queryText } from "./call.js";
import { streamType } from "./container-streams.js";
import { badRequest } from "./http-error.js";
import { manager } from "./manager.js";
import { type Route, route } from "./router.js";
import { findService, findTask } from "./swarm-find.js";
import { parseWhen } from "./times.js";

export const SERVICE_LOG_ROUTES: readonly Route[] = [
  route("GET", "/services/{id}/logs", async (call) => {
    refuseNoStream(call);
    const { id, spec } = await findService(call, param(call, "id"));
    return logs(call, { serviceIds: [id], taskIds: [] }, spec?.task);
  }),
  route("GET", "/tasks/{id}/logs", async (call) => {
    refuseNoStream(call);
    const { id, spec } = await findTask(call, param(call, "id"));
    return logs(call, { serviceIds: [], taskIds: [id] }, spec);
  }),
];

const NS_PER_MS = 1_000_000n;

interface Wanted {
  readonly serviceIds: readonly string[];
  readonly taskIds: readonly string[];
}

async function logs(call: Call, wanted: Wanted, task: TaskSpec | undefined): Promise<Answer> {
  const nowMs = call.clock.nowMs();
  const when = (name: string) =>
    Number((parseWhen(queryText(call, name), nowMs, name) ?? 0n) / NS_PER_MS);
  const options = {
    stdout: queryFlag(call, "stdout"),
    stderr: queryFlag(call, "stderr"),
    follow: queryFlag(call, "follow"),
    tail: tailOf(queryText(call, "tail")),
    sinceMs: when("since"),
    untilMs: when("until"),
  };
  const shown: Shown = {
    details: queryFlag(call, "details"),
    timestamps: queryFlag(call, "timestamps"),
    framed: !(task?.container?.tty ?? false),
  };
  const client = await manager(call);
  const messages = client.serviceLogs({ ...wanted, options });
  return stream(streamType(call, !shown.framed), chunks(messages, shown, call.signal));
}

// dockerd forgets this one's kind, and says 500.
function refuseNoStream(call: Call): void {
  if (queryFlag(call, "stdout") || queryFlag(call, "stderr")) return;
  throw badRequest("Bad parameters: you must choose at least one stream");
}

function tailOf(written: string): number | undefined {
  if (written === "" || written === "all") return undefined;
  if (/^-\d+$/.test(written)) throw badRequest("negative tail values not supported");
  if (/^\d{1,15}$/.test(written)) return Number(written);
  throw badRequest('tail value must be a positive integer or "all"');
}

export interface Shown {
  readonly details: boolean;
  readonly timestamps: boolean;
  /** With Docker's header of 8 bytes before each line: all but a terminal's output. */
  readonly framed: boolean;
}

async function* chunks(
  messages: ClientReadableStream<LogMessage>,
  shown: Shown,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const cancel = () => messages.cancel();
  signal.addEventListener("abort", cancel, { once: true });
  try {
    for await (const message of messages) yield lineOf(message as LogMessage, shown);
  } catch (error) {
    if (signal.aborted) return;
    yield errorLine(`Error grabbing logs: ${sentenceFor(error)}\n`, shown);
  } finally {
    signal.removeEventListener("abort", cancel);
    messages.cancel();
  }
}

/** A manager's own words, such as what of the logs could not be had; else what happened to the stream. */
function sentenceFor(error: unknown): string {
  const outcome = refusalOrFault(error as ServiceError, "");
  return isRefusal(outcome) ? rpcWords(outcome) : sentenceOf(outcome);
}

/** One line as dockerd writes it: time, then details, then what the task wrote. */
export function lineOf(message: LogMessage, shown: Shown): Uint8Array {
  const time = shown.timestamps ? `${timeOf(message.timeNs)} ` : "";
  const details = shown.details ? `${detailsOf(message)} ` : "";
  const line = Buffer.concat([Buffer.from(time + details), message.data]);
  const kind = message.stream === LogStream.STDERR ? STDERR : STDOUT;
  return shown.framed ? framed(kind, line) : line;
}

function errorLine(sentence: string, shown: Shown): Uint8Array {
  const line = Buffer.from(sentence);
  return shown.framed ? framed(SYSTEM_ERROR, line) : line;
}

// The kinds of docker/pkg/stdcopy. The CLI ends with the sentence of a system error.
const STDOUT = 1;
const STDERR = 2;
const SYSTEM_ERROR = 3;
// | kind: 1 byte | 0 0 0 | length: 4 bytes, big endian | line |
const HEADER_BYTES = 8;

function framed(kind: number, line: Buffer): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt8(kind, 0);
  header.writeUInt32BE(line.length, 4);
  return Buffer.concat([header, line]);
}

// The keys in order, and nothing in the values that would need escaping: all three are ids.
function detailsOf({ nodeId, serviceId, taskId }: LogMessage): string {
  const prefix = "com.docker.swarm";
  return `${prefix}.node.id=${nodeId},${prefix}.service.id=${serviceId},${prefix}.task.id=${taskId}`;
}

/** RFC 3339 with all nine digits, so that lines are as wide as each other. */
function timeOf(timeNs: string): string {
  const ns = /^\d{1,19}$/.test(timeNs) ? BigInt(timeNs) : 0n;
  const seconds = new Date(Number(ns / 1_000_000_000n) * 1_000).toISOString().slice(0, 19);
  return `${seconds}.${String(ns % 1_000_000_000n).padStart(9, "0")}Z`;
}
