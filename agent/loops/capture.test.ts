import { expect, test } from "vitest";
import { systemClock } from "../../common/clock.js";
import { InquiryPart } from "../../proto/gen/control.js";
import { Network } from "../../proto/gen/types.js";
import type { FrameTap, TappedFrame, Watcher } from "../seams.js";
import { captureFrames, Once } from "./capture.js";

const hex = (text: string) => Buffer.from(text.replace(/\s/g, ""), "hex");
const ANSWER = hex(`02420a000102 02420a000103 0806 0001 0800 06 04 0002
  02420a000103 0a000103 02420a000102 0a000102`);
const DATA = hex("02420a000103 02420a000102 88b5 01");

const at = (data: Buffer, outgoing: boolean): TappedFrame => ({
  ...{ seconds: 1, nanoseconds: 2, length: data.length, device: "v-0" },
  ...{ data, outgoing },
});

test("a frame counts where it comes in, and an answer that the bridge gives where it goes out", () => {
  const once = new Once();
  expect(once.takes(at(DATA, false))).toBe(true);
  expect(once.takes(at(DATA, true))).toBe(false);
  expect(once.takes(at(ANSWER, true))).toBe(true);
  // From another node: it came in before it went out.
  expect(once.takes(at(ANSWER, false))).toBe(true);
  expect(once.takes(at(ANSWER, true))).toBe(false);
  expect(once.takes(at(ANSWER, true))).toBe(true);
});

test("what came is told with its counts, and the tap is closed when nobody asks any more", async () => {
  let closed = false;
  const came = [at(DATA, false), at(DATA, true), at(ANSWER, false)];
  const tap: FrameTap = {
    read: (max) => came.splice(0, max),
    counts: () => ({ came: 9, read: 5, dropped: 4 }),
    close: () => {
      closed = true;
    },
  };
  const watcher = { tapNetwork: () => tap } as unknown as Watcher;
  const network = Network.fromPartial({ vni: 4097 });
  const stop = new AbortController();
  const asked = { networkId: "n", snapBytes: 0, filter: "arp" };
  const parts = captureFrames({ watcher, clock: systemClock }, network, asked, stop.signal);
  const { value } = await parts.next();
  const frames = InquiryPart.fromPartial({ part: value }).part;
  expect(frames).toMatchObject({ value: { frames: [{ data: ANSWER }], seen: 2, dropped: 4 } });
  stop.abort();
  expect((await parts.next()).done).toBe(true);
  expect(closed).toBe(true);
});
