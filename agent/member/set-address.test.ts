import { expect, test } from "vitest";
import { advertisedAt, managerAt, movedTo } from "./set-address.js";

const OLD = "192.0.2.1";
const NEW = "192.0.2.9";
const had = { listenAddr: "0.0.0.0:2377", advertiseAddr: `${OLD}:2377`, dataPathAddr: OLD };

test("an address that moved takes with it what was of it, and keeps the ports", () => {
  expect(movedTo(had, OLD, NEW)).toEqual({
    listenAddr: "0.0.0.0:2377",
    advertiseAddr: `${NEW}:2377`,
    dataPathAddr: NEW,
  });
  const apart = { ...had, listenAddr: `${OLD}:4000`, dataPathAddr: "198.51.100.1" };
  expect(movedTo(apart, OLD, NEW)).toMatchObject({
    listenAddr: `${NEW}:4000`,
    dataPathAddr: "198.51.100.1",
  });
  expect(movedTo(apart, "198.51.100.1", NEW)).toMatchObject({ advertiseAddr: `${OLD}:2377` });
});

test("an address that the machine does not have is only dialled", () => {
  const behind = advertisedAt(
    { ...had, listenAddr: `${OLD}:2377` },
    "203.0.113.5:2377",
    () => false,
  );
  expect(behind).toEqual({ ...had, listenAddr: `${OLD}:2377`, advertiseAddr: "203.0.113.5:2377" });
  expect(advertisedAt(had, `${NEW}:2378`, () => true)).toEqual({
    ...had,
    advertiseAddr: `${NEW}:2378`,
    dataPathAddr: NEW,
  });
});

test("a manager's address is replaced where it is known", () => {
  const managers = [
    { nodeId: "a", addr: "192.0.2.2:2377" },
    { nodeId: "b", addr: "192.0.2.3:2377" },
  ];
  expect(managerAt(managers, "b", `${NEW}:2377`)?.map(({ addr }) => addr)).toEqual([
    "192.0.2.2:2377",
    `${NEW}:2377`,
  ]);
  expect(managerAt(managers, "c", `${NEW}:2377`)).toBeUndefined();
});
