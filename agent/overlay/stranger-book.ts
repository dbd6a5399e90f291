// Who sent what the switch refused, in memory that two threads share: the one that takes frames from the wire notes, the
// main thread reads and forgets. docs/guard.md has the same for the kernel's paths.
//
//   0       1             4          8               24
//   +-------+-------------+----------+---------------+-----------------+
//   |reason |address bytes| VNI      | address       | frames, a double|     a place; reason 0: it is free
//   +-------+-------------+----------+---------------+-----------------+
//
// Nobody waits for the other. A place is taken by its reason, written last, and given up by the reason alone: what is
// noted in between is lost, or counted for nobody.
import { formatIp, ipFromBytes } from "../../common/address.js";
import { DROPS } from "../guard/drops.js";
import type { Stranger, StrangerReason } from "../guard/strangers.js";

// Choices: as many as a person reads; as long as somebody may still ask.
export const STRANGERS_MAX = 64;
export const NOTED_MS = 600_000;

const PLACE_BYTES = 32;
const ADDRESS_BYTES_AT = 1;
const VNI_AT = 4;
const ADDRESS_AT = 8;
const FRAMES_AT = 24;
const REASONS: readonly StrangerReason[] = [DROPS.notAPeer, DROPS.unknownVni];

/** The end that notes. */
export class StrangerNotes {
  readonly #view: DataView;
  constructor(shared: SharedArrayBuffer) {
    this.#view = new DataView(shared);
  }

  /** `memory` has the source's address at `at`. Where there is no room, nobody is noted. */
  note(
    reason: StrangerReason,
    vni: number,
    memory: DataView,
    at: number,
    addressBytes: 4 | 16,
  ): void {
    const view = this.#view;
    const number = REASONS.indexOf(reason) + 1;
    let free = -1;
    for (let place = 0; place < view.byteLength; place += PLACE_BYTES) {
      const there = view.getUint8(place);
      if (there === 0 && free < 0) free = place;
      if (there !== number || view.getUint32(place + VNI_AT) !== vni) continue;
      if (!this.#isFrom(place, memory, at, addressBytes)) continue;
      const frames = view.getFloat64(place + FRAMES_AT);
      view.setFloat64(place + FRAMES_AT, frames + 1);
      return;
    }
    if (free < 0) return;
    view.setUint8(free + ADDRESS_BYTES_AT, addressBytes);
    view.setUint32(free + VNI_AT, vni);
    for (let i = 0; i < addressBytes; i++)
      view.setUint8(free + ADDRESS_AT + i, memory.getUint8(at + i));
    view.setFloat64(free + FRAMES_AT, 1);
    view.setUint8(free, number);
  }

  #isFrom(place: number, memory: DataView, at: number, addressBytes: 4 | 16): boolean {
    const view = this.#view;
    if (view.getUint8(place + ADDRESS_BYTES_AT) !== addressBytes) return false;
    for (let i = 0; i < addressBytes; i += 4)
      if (view.getUint32(place + ADDRESS_AT + i) !== memory.getUint32(at + i)) return false;
    return true;
  }
}

/** The end that reads. */
export class StrangerBook {
  readonly shared = new SharedArrayBuffer(STRANGERS_MAX * PLACE_BYTES);
  readonly #view = new DataView(this.shared);
  /** By place: what was last read there, and when there first was so much. */
  readonly #seen = new Map<number, { readonly frames: number; readonly sinceMs: number }>();

  read(nowMs: number): readonly Stranger[] {
    const view = this.#view;
    const strangers: Stranger[] = [];
    for (let place = 0; place < view.byteLength; place += PLACE_BYTES) {
      const reason = REASONS[view.getUint8(place) - 1];
      const address = ipFromBytes(this.#address(place));
      if (reason === undefined || address === undefined) continue;
      const frames = view.getFloat64(place + FRAMES_AT);
      const seen = this.#seen.get(place);
      if (seen?.frames !== frames) this.#seen.set(place, { frames, sinceMs: nowMs });
      else if (nowMs - seen.sinceMs >= NOTED_MS) {
        view.setUint8(place, 0);
        this.#seen.delete(place);
        continue;
      }
      const vni = view.getUint32(place + VNI_AT);
      strangers.push({ reason, address: formatIp(address), vni, frames });
    }
    return strangers;
  }

  #address(place: number): Uint8Array {
    const bytes = this.#view.getUint8(place + ADDRESS_BYTES_AT);
    return new Uint8Array(this.shared.slice(place + ADDRESS_AT, place + ADDRESS_AT + bytes));
  }
}
