import { expect, test } from "vitest";
import { type Assignments, ServiceRow } from "../../proto/gen/dispatcher.js";
import { Task, TaskState } from "../../proto/gen/service.js";
import { ManualClock } from "../../test/fakes/manual-clock.js";
import { NOTHING } from "../assignments/merge.js";
import { Drain } from "./drain.js";

const never = new AbortController().signal;
const told = (parts: object = {}) =>
  Task.fromPartial({
    ...{ id: "t", serviceId: "web", endpointIds: ["e"], desiredState: TaskState.SHUTDOWN },
    ...parts,
  });

function lab(settle: () => Promise<void> = async () => {}) {
  const clock = new ManualClock();
  const asked: number[] = [];
  const services = [ServiceRow.fromPartial({ id: "web" })];
  const world = { current: { ...NOTHING, revision: 5, services } as Assignments, isOpen: true };
  const drain = new Drain(
    world,
    (revision) => {
      asked.push(revision);
      return settle();
    },
    () => world.isOpen,
    clock,
  );
  return { clock, asked, world, drain };
}

test("tasks that are told together wait with one question, later ones with their own", async () => {
  let answer = () => {};
  const { asked, world, drain } = lab(() => new Promise<void>((resolve) => (answer = resolve)));
  const both = [told(), told({ id: "u" })].map((task) => drain.drained(task, never));
  expect(asked).toEqual([5]);
  answer();
  await Promise.all(both);
  world.current = { ...world.current, revision: 6 };
  const third = drain.drained(told(), never);
  answer();
  await third;
  expect(asked).toEqual([5, 6]);
});

const unasked: [string, object, object][] = [
  ["a task without addresses", { endpointIds: [] }, {}],
  ["a task that nobody asked to end", { desiredState: TaskState.RUNNING }, {}],
  ["a task whose service is removed", { serviceId: "gone" }, {}],
  ["a task while there is no session", {}, { isOpen: false }],
];
for (const [name, task, state] of unasked) {
  test(`${name} is not waited with`, async () => {
    const { asked, world, drain } = lab(() => new Promise(() => {}));
    Object.assign(world, state);
    await drain.drained(told(task), never);
    expect(asked).toEqual([]);
  });
}

test("no answer, or a manager that cannot be asked, holds nothing up for long", async () => {
  const silent = lab(() => new Promise(() => {}));
  let over = false;
  const waiting = silent.drain.drained(told(), never).then(() => (over = true));
  await silent.clock.advance(2_999);
  expect(over).toBe(false);
  await silent.clock.advance(1);
  await waiting;
  await lab(() => Promise.reject(new Error("no manager"))).drain.drained(told(), never);
});

test("who lets go is not kept", async () => {
  const { drain } = lab(() => new Promise(() => {}));
  const stop = new AbortController();
  const waiting = drain.drained(told(), stop.signal);
  stop.abort(new Error("closed"));
  await expect(waiting).rejects.toThrow("closed");
});
