import { expect, test } from "vitest";
import { firstTold, Topic } from "./watch.js";

/** How many listen to the topic: those who are told. */
class Counted extends Topic<string> {
  listening = 0;
  override subscribe(listener: (value: string) => void) {
    this.listening++;
    const unsubscribe = super.subscribe(listener);
    return () => {
      this.listening--;
      unsubscribe();
    };
  }
}

test("the first thing told is the answer, and nobody listens any more", async () => {
  const topic = new Counted();
  const told = firstTold<string>((listener) => topic.subscribe(listener), AbortSignal.timeout(9e3));
  topic.publish("one");
  topic.publish("two");
  expect(await told).toBe("one");
  expect(topic.listening).toBe(0);
});

test("an abort rejects with its reason, and nobody listens any more", async () => {
  const topic = new Counted();
  const stop = new AbortController();
  const told = firstTold<string>((listener) => topic.subscribe(listener), stop.signal);
  stop.abort(new Error("stopped"));
  topic.publish("late");
  await expect(told).rejects.toThrow("stopped");
  expect(topic.listening).toBe(0);
});

test("who is aborted already does not begin to listen", async () => {
  const topic = new Counted();
  const over = AbortSignal.abort(new Error("stopped"));
  await expect(firstTold((listener) => topic.subscribe(listener), over)).rejects.toThrow("stopped");
  expect(topic.listening).toBe(0);
});
