import { expect, test } from "vitest";
import { refuse } from "../../common/fault.js";
import { silentLogger } from "../../common/log.js";
import { ManualClock } from "../../test/fakes/manual-clock.js";
import type { Images } from "../seams.js";
import { TaskImages } from "./task-images.js";

/** A registry that takes the connection and says nothing more, or says that it has begun and then nothing. */
function hanging(isHere: boolean, begins: boolean) {
  let pulls = 0;
  const images = {
    problem: () => undefined,
    get: async () => (isHere ? { id: "sha256:1" } : refuse("not-found", "no")),
    pull: (_ref: string, _options: object, report: (text: object) => void, signal: AbortSignal) => {
      pulls++;
      if (begins) report({ status: "Pulling from app" });
      return new Promise((_, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      });
    },
  } as unknown as Images;
  const clock = new ManualClock();
  const fetching = new TaskImages(images, clock, silentLogger());
  const fetch = (signal = new AbortController().signal) => {
    const seen: { done?: unknown } = {};
    const done = fetching.fetch("app:1", undefined, signal).then(
      (value) => {
        seen.done = value ?? "here";
      },
      () => {
        seen.done = "aborted";
      },
    );
    return { seen, done };
  };
  return { clock, fetch, pulls: () => pulls };
}

test("a registry that hangs is not waited for where the image is here, and left alone for a while", async () => {
  const { clock, fetch, pulls } = hanging(true, false);
  const first = fetch();
  await clock.advance(4_000);
  expect(first.seen.done).toBeUndefined();
  await clock.advance(2_000);
  expect(first.seen.done).toBe("here");
  const second = fetch();
  await second.done;
  expect(pulls()).toBe(1);
});

test.each([
  ["the image is not here", false, false],
  ["it has begun to answer", true, true],
])("it is waited for where %s, until the task is to end", async (_, isHere, begins) => {
  const { clock, fetch } = hanging(isHere, begins);
  const end = new AbortController();
  const { seen, done } = fetch(end.signal);
  await clock.advance(60_000);
  expect(seen.done).toBeUndefined();
  end.abort();
  await done;
  expect(seen.done).toBe("aborted");
});
