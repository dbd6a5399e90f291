import { expect, test } from "vitest";
import { silentLogger } from "../../common/log.js";
import { ManualClock } from "../../test/fakes/manual-clock.js";
import { NodeRuntime } from "./node-runtime.js";

test("a restart of containerd is not worth a word; staying away is, and coming back is at once", async () => {
  const clock = new ManualClock();
  let answers = true;
  const runtime = new NodeRuntime(() => answers, clock, silentLogger());
  const said: string[] = [];
  const stop = new AbortController();
  const names = () => runtime.plugins.map(({ name }) => name).join();
  const following = runtime.follow(() => said.push(names()), stop.signal);
  const pass = async (ms: number) => {
    for (let left = ms; left > 0; left -= 1_000) await clock.advance(1_000);
  };
  expect(names()).toBe("containerd,process");
  answers = false;
  await pass(9_000);
  answers = true;
  await pass(6_000);
  expect(said).toEqual([]);
  answers = false;
  await pass(15_000);
  expect(said).toEqual(["process"]);
  answers = true;
  await pass(4_000);
  expect(said).toEqual(["process", "containerd,process"]);
  stop.abort();
  await following;
});
