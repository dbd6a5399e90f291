// /skein/v1/networks/{ref}/capture: the frames of a network on one node, as pcap or as lines. The stream is framed as
// Docker's of a container's output: 1 is the pcap or the lines, 2 a JSON line with the counts so far, 3 an error.
import { isRefusal } from "../../common/fault.js";
import type { CapturedFrame } from "../../proto/gen/control.js";
import { parseFrameFilter } from "../overlay/frame-filter.js";
import { frameLine } from "../overlay/frame-line.js";
import { pcapHeader, pcapRecord } from "../overlay/pcap.js";
import { type Answer, stream } from "./answer.js";
import { type Call, param, queryFlag, queryNumber, queryText } from "./call.js";
import { badRequest } from "./http-error.js";
import { findInquiryNode, type InquiryNode, inquire } from "./inquire.js";
import { findNetwork, idOf, nameOf } from "./network-view.js";
import { type Route, route } from "./router.js";

export const CAPTURE_ROUTES: readonly Route[] = [
  route("GET", "/skein/v1/networks/{ref}/capture", capture),
];

// tcpdump's own bounds.
const SNAP_BYTES = 262_144;
const SNAP_BYTES_MIN = 14;
// The kinds of docker/pkg/stdcopy.
const STDOUT = 1;
const STDERR = 2;
const SYSTEM_ERROR = 3;

interface Wish {
  readonly networkId: string;
  readonly node: InquiryNode;
  readonly snapBytes: number;
  /** 0: until the client goes. */
  readonly count: number;
  readonly filter: string;
  readonly asLines: boolean;
}

async function capture(call: Call): Promise<Answer> {
  const view = await findNetwork(call, param(call, "ref"));
  if (view.kind === "local") throw badRequest(`${nameOf(view)} is not a network of the swarm`);
  const snapBytes = queryNumber(call, "snaplen", SNAP_BYTES);
  if (snapBytes < SNAP_BYTES_MIN || snapBytes > SNAP_BYTES) {
    throw badRequest(`snaplen ${snapBytes} is not between ${SNAP_BYTES_MIN} and ${SNAP_BYTES}`);
  }
  const count = queryNumber(call, "count", 0);
  if (count < 0) throw badRequest(`count ${count} is less than 0`);
  const filter = queryText(call, "filter");
  const parsed = parseFrameFilter(filter);
  if (isRefusal(parsed)) throw badRequest(parsed.message);
  const wish: Wish = {
    networkId: idOf(view),
    node: await findInquiryNode(call, queryText(call, "host")),
    snapBytes,
    count,
    filter,
    asLines: queryFlag(call, "lines"),
  };
  return stream("application/vnd.docker.multiplexed-stream", chunks(call, wish));
}

async function* chunks(call: Call, wish: Wish): AsyncGenerator<Uint8Array> {
  const { networkId, node, snapBytes, filter, asLines } = wish;
  const question = { $case: "capture", value: { networkId, snapBytes, filter } } as const;
  let captured = 0;
  try {
    for await (const { part } of inquire(call, [node.id], { question })) {
      switch (part?.$case) {
        case "begun":
          // Says that it has begun, and makes a file that has no frame a whole one.
          yield asLines ? note(0, 0, 0) : framed(STDOUT, pcapHeader(snapBytes));
          break;
        case "failed":
          yield framed(SYSTEM_ERROR, Buffer.from(`${node.hostname}: ${part.value}`));
          return;
        case "frames": {
          const left = wish.count === 0 ? Number.POSITIVE_INFINITY : wish.count - captured;
          const frames = part.value.frames.slice(0, left);
          captured += frames.length;
          const shown = frames.map(asLines ? lineOf : pcapRecord);
          if (shown.length > 0) yield framed(STDOUT, Buffer.concat(shown));
          yield note(captured, part.value.seen, part.value.dropped);
          if (wish.count > 0 && captured === wish.count) return;
          break;
        }
        default:
      }
    }
  } catch (error) {
    if (call.signal.aborted) return;
    const sentence = error instanceof Error ? error.message : String(error);
    yield framed(SYSTEM_ERROR, Buffer.from(sentence));
  }
}

function note(captured: number, seen: number, dropped: number): Buffer {
  const counts = { Captured: captured, Seen: seen, Dropped: dropped };
  return framed(STDERR, Buffer.from(`${JSON.stringify(counts)}\n`));
}

/** The time is UTC's, with microseconds. */
function lineOf({ seconds, nanoseconds, length, data }: CapturedFrame): Buffer {
  const time = new Date(seconds * 1_000).toISOString().slice(11, 19);
  const micros = String(Math.floor(nanoseconds / 1_000)).padStart(6, "0");
  return Buffer.from(`${time}.${micros} ${frameLine(data, length)}\n`);
}

// | kind: 1 byte | 0 0 0 | length: 4 bytes, big endian | bytes |
const HEADER_BYTES = 8;

function framed(kind: number, bytes: Buffer): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt8(kind, 0);
  header.writeUInt32BE(bytes.length, 4);
  return Buffer.concat([header, bytes]);
}
