import { expect, test } from "vitest";
import { machineDoor } from "./machine.js";

test("a host that does not exist, or that no route leads to, is reached from no address", async () => {
  const door = machineDoor({
    underlay: () => ({ addresses: [], routes: [], links: [] }),
    dataPortProblem: () => undefined,
  });
  expect(await door.sourceTowards("127.0.0.1")).toBe("127.0.0.1");
  // RFC 6761 section 6.4: no such name, ever. A local answer, whatever the resolver.
  expect(await door.sourceTowards("a..invalid")).toBeUndefined();
  // RFC 5737 and RFC 6666: a machine may have a default route, and then an address of its own towards them.
  for (const host of ["192.0.2.1", "100::1"]) {
    expect(["0.0.0.0", "::"]).not.toContain(await door.sourceTowards(host));
  }
});
