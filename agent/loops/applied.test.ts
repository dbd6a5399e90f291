import { expect, test, vi } from "vitest";
import { systemClock } from "../../common/clock.js";
import { silentLogger } from "../../common/log.js";
import { DEFAULT_TIMING } from "../../common/timing.js";
import { NOTHING } from "../assignments/merge.js";
import type { Journal } from "../seams.js";
import { Applied, type Way } from "./applied.js";
import { HeldAssignments } from "./held-assignments.js";

const journal: Journal = {
  load: async () => undefined,
  save: async () => {},
  clear: async () => {},
};

const WAY: Way = { dataPathPorts: [4789], dataPathProblem: "" };

test("what is applied is said once it is, the newest only, and to each session again", async () => {
  const log = silentLogger();
  const held = new HeldAssignments(undefined, "me", journal, systemClock, DEFAULT_TIMING, log);
  let letGo = () => {};
  const applied = new Applied(
    held,
    () => new Promise<Way>((resolve) => (letGo = () => resolve(WAY))),
  );
  const said: number[] = [];
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  const stop = applied.opened(({ revision }) => said.push(revision));
  await turn();
  expect(said).toEqual([]);
  held.hear({ ...NOTHING, revision: 4 });
  await turn();
  for (const revision of [5, 6, 7]) held.hear({ ...NOTHING, full: false, revision });
  expect(said).toEqual([]);
  letGo();
  await turn();
  letGo();
  await turn();
  expect(said).toEqual([4, 7]);
  stop();
  const stopAgain = applied.opened(({ revision }) => said.push(revision));
  await turn();
  letGo();
  await turn();
  expect(said).toEqual([4, 7, 7]);
  stopAgain();
  await held.close();
});

test("a port that could not be had is said, and said again when it can", async () => {
  const log = silentLogger();
  const held = new HeldAssignments(undefined, "me", journal, systemClock, DEFAULT_TIMING, log);
  let way: Way = { dataPathPorts: [4789], dataPathProblem: "taken" };
  const applied = new Applied(held, async () => way);
  const said: string[] = [];
  const stop = applied.opened(({ dataPathPorts, dataPathProblem }) =>
    said.push(`${dataPathPorts.join()} ${dataPathProblem}`.trim()),
  );
  held.hear({ ...NOTHING, revision: 4 });
  await vi.waitFor(() => expect(said).toEqual(["4789 taken"]));
  way = { dataPathPorts: [4789, 5000], dataPathProblem: "" };
  await vi.waitFor(() => expect(said).toEqual(["4789 taken", "4789,5000"]), 5_000);
  stop();
  await held.close();
});
