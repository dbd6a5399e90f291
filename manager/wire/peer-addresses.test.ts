import { expect, test } from "vitest";
import { isDialable } from "../../common/address.js";
import { PeerAddresses } from "./peer-addresses.js";

const member = (raftId: number, addr: string) => ({ raftId, nodeId: "", addr, learner: false });
const OLD = member(2, "192.0.2.2:2377");
const NEW = "192.0.2.9:2377";

function known(before: ReadonlyMap<number, string> = new Map()) {
  const addresses = new PeerAddresses(before);
  addresses.setLogged([OLD]);
  return addresses;
}

test("who is out of reach is believed about where it is, until the log says so too", () => {
  const addresses = known();
  expect(addresses.claimed(2, NEW, true)).toBe(true);
  expect(addresses.addrOf(OLD)).toBe(NEW);
  expect(addresses.claimed(2, NEW, false)).toBe(false);
  expect(addresses.setLogged([member(2, NEW)])).toBe(true);
  expect(addresses.believed.size).toBe(0);
});

test("who moves while it is heard is believed; who always said so is reached as a person said", () => {
  const moving = known();
  expect(moving.claimed(2, OLD.addr, false)).toBe(false);
  expect(moving.claimed(2, NEW, false)).toBe(true);
  const translated = known();
  expect(translated.claimed(2, "10.0.0.2:2377", false)).toBe(false);
  expect(translated.addrOf(OLD)).toBe(OLD.addr);
});

test("what the log says later is newer than what was believed", () => {
  const addresses = known(new Map([[2, NEW]]));
  expect(addresses.addrOf(OLD)).toBe(NEW);
  expect(addresses.setLogged([member(2, "192.0.2.7:2377")])).toBe(true);
  expect(addresses.believed.size).toBe(0);
});

test("only members have addresses, and only such as can be dialled", () => {
  const addresses = known();
  expect(addresses.dial(3, NEW)).toBe(false);
  expect(addresses.claimed(2, "nowhere", true)).toBe(false);
  addresses.dial(2, NEW);
  addresses.setLogged([]);
  expect(addresses.believed.size).toBe(0);
  const wrong = ["", "h:0", "h:99999", ":2377", "999.1.1.1:1", "10.0.0:1", `${"h".repeat(300)}:1`];
  for (const each of wrong) expect(isDialable(each), each).toBe(false);
  for (const right of ["h:1", "h2.example:1", "10.0.0.1:1", "[fd00::1]:1", "[::ffff:1.2.3.4]:1"]) {
    expect(isDialable(right), right).toBe(true);
  }
});
