import { expect, test } from "vitest";
import type { AddressHave, LinkHave, NetworkHave } from "./have.js";
import { aliasOf } from "./names.js";
import { devicesToHearOf } from "./underlay-news.js";

const link = (ifindex: number, alias = "") => ({ ifindex, alias }) as LinkHave;
const address = (ifindex: number, prefix: string) => ({ ifindex, prefix }) as AddressHave;
const networkFrom = (local: string) =>
  ({ links: new Map([["vxlan0", { vxlan: { local } }]]) }) as unknown as NetworkHave;

test("what is ours is news, and what has a VTEP's address; the machine's other devices are not", () => {
  const underlay = {
    links: [link(1), link(2), link(3, aliasOf("mesh")), link(4, "somebody's")],
    addresses: [
      address(1, "127.0.0.1/8"),
      address(2, "192.0.2.1/24"),
      address(4, "192.0.2.10/24"),
      address(5, "2001:db8::1/64"),
    ],
    routes: [],
  };
  const networks = new Map([
    [4097, networkFrom("192.0.2.1")],
    [4098, networkFrom("2001:db8::1")],
  ]);
  expect(devicesToHearOf(underlay, networks)).toEqual(new Set([2, 3, 5]));
});
