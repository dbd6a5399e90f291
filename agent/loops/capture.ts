// The frames of one network on this node, each once: as it comes into the network's bridge, from an endpoint here or
// from another node. That is before any data path decides on it, so it is the same on all of them.
import type { Clock } from "../../common/clock.js";
import { isRefusal, Refused, refuse } from "../../common/fault.js";
import type { CapturedFrames, CaptureInquiry, InquiryPart } from "../../proto/gen/control.js";
import type { Network } from "../../proto/gen/types.js";
import { factsOf, PROTOCOL } from "../overlay/frame-facts.js";
import { parseFrameFilter } from "../overlay/frame-filter.js";
import type { TappedFrame, Watcher } from "../seams.js";

// Choices: what one part of an answer has, and how soon the next frames are looked for when there were none.
const FRAMES_A_PART = 500;
const BYTES_A_PART = 256 * 1024;
const LOOK_MS = 10;
/** How often the counts are told while nothing else is. */
const TELL_MS = 1_000;
const SNAP_BYTES_MAX = 262_144;
const SNAP_BYTES_MIN = 14;

export interface CaptureTools {
  readonly watcher: Watcher;
  readonly clock: Clock;
}

export async function* captureFrames(
  { watcher, clock }: CaptureTools,
  network: Network,
  asked: CaptureInquiry,
  signal: AbortSignal,
): AsyncGenerator<InquiryPart["part"]> {
  const filter = parseFrameFilter(asked.filter);
  if (isRefusal(filter)) throw new Refused(filter);
  const wanted = asked.snapBytes === 0 ? SNAP_BYTES_MAX : asked.snapBytes;
  const snapBytes = Math.min(Math.max(wanted, SNAP_BYTES_MIN), SNAP_BYTES_MAX);
  const tap = watcher.tapNetwork(network.vni, { snapBytes, stamped: true });
  if (tap === undefined) throw notHere();
  const once = new Once();
  let seen = 0;
  try {
    let toldMs = clock.monotonicMs();
    while (!signal.aborted) {
      const fromMs = clock.monotonicMs();
      const came = tap.read(FRAMES_A_PART);
      const frames = came.filter((frame) => {
        if (!once.takes(frame)) return false;
        seen++;
        const facts = factsOf(frame.data);
        return facts !== undefined && filter(facts);
      });
      const nowMs = clock.monotonicMs();
      if (frames.length > 0 || nowMs - toldMs >= TELL_MS) {
        toldMs = nowMs;
        for (const part of partsOf(frames)) {
          yield { $case: "frames", value: { ...part, seen, dropped: tap.counts().dropped } };
        }
      }
      // Half of the time is for the rest of the agent, however fast frames come.
      const busyMs = Math.ceil(clock.monotonicMs() - fromMs);
      const pauseMs = came.length === 0 ? LOOK_MS : Math.min(Math.max(busyMs, 1), LOOK_MS);
      await clock.sleep(pauseMs, signal).catch(() => {});
    }
  } finally {
    tap.close();
  }
}

export function notHere(): Refused {
  const sentence = "the network's namespace does not stand on this node: nothing here is on it";
  return new Refused(refuse("not-found", sentence));
}

function partsOf(frames: readonly TappedFrame[]): Pick<CapturedFrames, "frames">[] {
  const parts: { frames: TappedFrame[] }[] = [{ frames: [] }];
  let bytes = 0;
  for (const frame of frames) {
    if (bytes > BYTES_A_PART) {
      parts.push({ frames: [] });
      bytes = 0;
    }
    bytes += frame.data.length;
    parts.at(-1)?.frames.push(frame);
  }
  return parts;
}

// RFC 4861 section 4.4.
const NEIGHBOUR_ADVERTISEMENT = 136;
// Choice: as many answers as a network with all its endpoints asks for at once.
const REMEMBERED_MAX = 1_024;

/**
 * Tells which frames count. What leaves by a port came in by another one and has been seen, but for the answers
 * that the bridge itself gives to ARP and ND in a remote endpoint's stead.
 */
export class Once {
  #recent = new Set<string>();
  #older = new Set<string>();

  takes({ data, outgoing }: Pick<TappedFrame, "data" | "outgoing">): boolean {
    if (!isNeighbourAnswer(data)) return !outgoing;
    const key = data.toString("latin1");
    const known = this.#recent.has(key) || this.#older.has(key);
    if (outgoing && known) {
      this.#recent.delete(key);
      this.#older.delete(key);
      return false;
    }
    if (!outgoing) this.#remember(key);
    return true;
  }

  #remember(key: string): void {
    this.#recent.add(key);
    if (this.#recent.size < REMEMBERED_MAX) return;
    this.#older = this.#recent;
    this.#recent = new Set();
  }
}

function isNeighbourAnswer(frame: Buffer): boolean {
  const facts = factsOf(frame);
  if (facts?.arp !== undefined) return !facts.arp.asks;
  const { ip } = facts ?? {};
  return ip?.protocol === PROTOCOL.icmpv6 && ip.icmp?.type === NEIGHBOUR_ADVERTISEMENT;
}
