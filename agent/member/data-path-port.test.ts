import { expect, test } from "vitest";
import { dataPathPorts } from "./data-path-port.js";

test("what the swarm says now counts, and until it has said it what it said at the join", () => {
  const record = { dataPathPort: 4789 };
  const at = (told?: { port: number; also: number }) =>
    dataPathPorts({ record, held: { current: { dataPathPorts: told } } });
  expect(at()).toEqual({ port: 4789, also: 0 });
  expect(at({ port: 4789, also: 5000 })).toEqual({ port: 4789, also: 5000 });
  expect(at({ port: 5000, also: 0 })).toEqual({ port: 5000, also: 0 });
});
