// The userspace data path's two loops, each on a thread of its own (agent/switch-worker.ts): one carries frames from
// TAP devices to the wire, the other from the wire to TAP devices. A turn is: wait, take what there is, hand it on all
// together. There is no promise and no allocation in it; what the main thread has to say comes between two turns.
import type { Inward } from "../overlay/inward.js";
import type { Outward, SwitchNetwork } from "../overlay/outward.js";
import type { DatagramReceiver, DatagramSender, Ready, TapReader } from "../seams.js";

// Choice: what one TAP may send before the others have their turn.
const FRAMES_A_TURN = 64;

/** False: the loop is to end. */
type Told = () => boolean;

export interface OutwardWires {
  readonly poll: Ready;
  /** The descriptor by which the main thread wakes this one. */
  readonly wake: number;
  readonly taps: TapReader;
  /** Of all sockets; a turn's end sends what is collected. */
  readonly senders: ReadonlyMap<number, DatagramSender>;
  /** Memory for frames, and the longest that is read at once. */
  readonly from: number;
  readonly to: number;
  readonly frameBytes: number;
}

/** `networks` by the descriptor of their TAP. */
export function switchOutward(
  wires: OutwardWires,
  networks: ReadonlyMap<number, SwitchNetwork>,
  outward: Outward,
  told: Told,
): void {
  const { poll, wake, taps, senders, from, to, frameBytes } = wires;
  const flush = () => {
    for (const sender of senders.values()) sender.flush();
  };
  for (;;) {
    const ready = poll.wait();
    let at = from;
    let isTold = false;
    for (let i = 0; i < ready; i++) {
      const fd = poll.ready(i);
      if (fd === wake) isTold = true;
      const network = networks.get(fd);
      if (network === undefined) continue;
      for (let frames = 0; frames < FRAMES_A_TURN; frames++) {
        // Behind a frame there is room for the headers of its parts.
        if (at + 3 * frameBytes > to) {
          flush();
          at = from;
        }
        const length = taps.read(network.tap, at);
        // One that is gone would be found ready for ever. Who deleted it, the main thread hears.
        if (length < 0) poll.remove(fd);
        if (length <= 0) break;
        outward.take(network, at, length);
        at = outward.nextAt;
      }
    }
    flush();
    if (isTold && !told()) return;
  }
}

export interface InwardWires {
  readonly poll: Ready;
  readonly wake: number;
  /** By descriptor. */
  readonly sockets: ReadonlyMap<
    number,
    { readonly receiver: DatagramReceiver; readonly inward: Inward }
  >;
}

export function switchInward({ poll, wake, sockets }: InwardWires, told: Told): void {
  for (;;) {
    const ready = poll.wait();
    let isTold = false;
    for (let i = 0; i < ready; i++) {
      const fd = poll.ready(i);
      if (fd === wake) isTold = true;
      const socket = sockets.get(fd);
      if (socket !== undefined) socket.inward.takeAll(socket.receiver.receive());
    }
    if (isTold && !told()) return;
  }
}
