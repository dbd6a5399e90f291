import { expect, test } from "vitest";
import { inUse, noted } from "./data-path-notes.js";

const accelerated = { wish: "auto", path: "accelerated", why: [] } as const;
const notes = (vtep: string | undefined, path: "accelerated" | "kernel" = "accelerated") =>
  noted({ ...accelerated, path }, vtep, []).why;

test("the accelerated path over IPv6 says that it receives and does not send", () => {
  expect(notes("2001:db8::1")).toEqual([
    "This node's underlay is IPv6: the programs receive over it, and what is sent takes the kernel path.",
  ]);
  expect(notes("192.0.2.1")).toEqual([]);
  expect(notes(undefined)).toEqual([]);
  expect(notes("2001:db8::1", "kernel")).toEqual([]);
});

test("where an interface does wrong what the programs would leave to it, the kernel path is in use", () => {
  expect(inUse(accelerated, false)).toEqual(accelerated);
  const { path, why } = inUse(accelerated, true);
  expect([path, why.length]).toEqual(["kernel", 1]);
  const userspace = { ...accelerated, path: "userspace" } as const;
  expect(inUse(userspace, true)).toEqual(userspace);
});

test("what was known at the start stays, and comes first", () => {
  const why = ["The accelerated path is not built."];
  const path = { wish: "auto", path: "kernel", why } as const;
  expect(noted(path, "192.0.2.1", ["30 frames came."]).why).toEqual([...why, "30 frames came."]);
});
