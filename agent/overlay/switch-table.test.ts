import fc from "fast-check";
import { expect, test } from "vitest";
import type { Ip } from "../../common/address.js";
import { parseIp } from "../../common/address.js";
import type { Mac } from "../../common/ids.js";
import { parseVni, type Vni } from "../../common/ids.js";
import { macToBytes } from "./mac-bytes.js";
import { PEERS_MAX, PeerBook } from "./peer-book.js";
import { encodeTable, LOCAL, SwitchTable, UNKNOWN } from "./switch-table.js";

const vni = parseVni(0xffffff) as Vni;
const mac = fc.uint8Array({ minLength: 6, maxLength: 6 }).map((bytes) =>
  Buffer.from(bytes)
    .toString("hex")
    .replace(/..(?=.)/g, "$&:"),
);
const find = (table: SwitchTable, text: string) => {
  const bytes = macToBytes(text as Mac);
  return table.find(bytes.readUInt16BE(0), bytes.readInt32BE(2));
};

test("finds what a map finds, and nothing else", () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(mac, { maxLength: 300 }),
      fc.array(mac, { maxLength: 20 }),
      fc.array(fc.nat(PEERS_MAX - 1), { maxLength: 9 }),
      (macs, others, flood) => {
        const want = new Map(macs.map((each, i) => [each, i % 5 === 0 ? LOCAL : i]));
        const locals = macs.filter((each) => want.get(each) === LOCAL);
        const remotes = [...want].filter(([, peer]) => peer !== LOCAL);
        const table = new SwitchTable(encodeTable({ vni, mtuBytes: 1450, locals, remotes, flood }));
        for (const each of [...macs, ...others, "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00"]) {
          expect(find(table, each)).toBe(want.get(each) ?? UNKNOWN);
        }
        expect([table.vni, table.mtuBytes]).toEqual([vni, 1450]);
        const floods = Array.from({ length: table.floodCount }, (_, i) => table.floodPeer(i));
        expect(floods).toEqual(flood);
      },
    ),
  );
});

test("ten thousand MACs of one vendor, as the swarm gives them, are found in a few steps each", () => {
  const macs = Array.from({ length: 10_000 }, (_, i) => {
    const hex = i.toString(16).padStart(4, "0");
    return `02:42:0a:00:${hex.slice(0, 2)}:${hex.slice(2)}`;
  });
  const remotes = macs.map((each, i) => [each, i] as const);
  const table = new SwitchTable(
    encodeTable({ vni, mtuBytes: 1450, locals: [], remotes, flood: [] }),
  );
  const before = performance.now();
  for (const [i, each] of macs.entries()) expect(find(table, each)).toBe(i);
  // Two hundred thousand steps would be a hash that does not spread.
  expect(performance.now() - before).toBeLessThan(2_000);
});

test("an address has one number; a full book gives no more", () => {
  const book = new PeerBook();
  const address = (n: number): Ip => ({ family: 4, value: BigInt(n) });
  expect(book.numberOf(parseIp("192.0.2.1") as Ip)).toBe(0);
  expect(book.numberOf(parseIp("2001:db8::1") as Ip)).toBe(1);
  expect(book.numberOf(parseIp("192.0.2.1") as Ip)).toBe(0);
  for (let n = 2; n < PEERS_MAX; n++) expect(book.numberOf(address(n))).toBe(n);
  expect(book.numberOf(address(PEERS_MAX))).toBeUndefined();
  expect(new Uint8Array(book.shared, 0, 4)).toEqual(Uint8Array.of(192, 0, 2, 1));
});
