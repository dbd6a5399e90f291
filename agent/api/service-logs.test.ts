import { expect, test } from "vitest";
import { LogMessage, LogStream } from "../../proto/gen/control.js";
import { lineOf } from "./service-logs.js";

const message = LogMessage.fromPartial({
  serviceId: "s1",
  taskId: "t1",
  nodeId: "n1",
  timeNs: "1795230561764418506",
  stream: LogStream.STDERR,
  data: Buffer.from("oops\n"),
});
const shown = { details: false, timestamps: false, framed: true };
const header = (kind: number, length: number) => Buffer.from([kind, 0, 0, 0, 0, 0, 0, length]);

test("a line has Docker's header: which stream, and how long", () => {
  expect(lineOf(message, shown)).toEqual(Buffer.concat([header(2, 5), Buffer.from("oops\n")]));
});

test("details are the ids by which the CLI finds name, slot and node", () => {
  const line = Buffer.from(lineOf(message, { ...shown, details: true })).toString();
  expect(line.slice(8)).toBe(
    "com.docker.swarm.node.id=n1,com.docker.swarm.service.id=s1,com.docker.swarm.task.id=t1 oops\n",
  );
});

test("the time stands in front, with all nine digits", () => {
  const given = { ...shown, details: true, timestamps: true };
  const round = { ...message, timeNs: "1795230561000000000" };
  expect(Buffer.from(lineOf(message, given)).subarray(8).toString()).toMatch(
    /^2026-11-21T03:09:21\.764418506Z com\.docker/,
  );
  expect(Buffer.from(lineOf(round, given)).toString()).toContain("21.000000000Z ");
});

test("a terminal's output has no header", () => {
  expect(Buffer.from(lineOf(message, { ...shown, framed: false })).toString()).toBe("oops\n");
});
