// Two namespaces with a wire between them, for tables of nf_tables on a real kernel: packets are sent raw in the
// first, and what arrives in the second is told. The second has no address, so that it never answers.
import { closeSync, mkdtempSync, rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import {
  MSG_DONTWAIT,
  SOCK_RAW,
  SOL_SOCKET,
  sendto,
  setsockopt,
  socket,
  tryRecv,
} from "../../agent/kernel/libc.js";
import { within } from "../../agent/kernel/namespace.js";
import { PacketFilters } from "../../agent/kernel/packet-filter.js";
import { Places } from "../../agent/kernel/places.js";
import { socketAddress } from "../../agent/kernel/socket-address.js";
import { AF_INET } from "../../agent/netlink/constants.js";
import { sandboxKey } from "../../agent/reconcile/names.js";
import { type ChangeTables, planTables } from "../../agent/reconcile/table-plan.js";
import type { NamespaceTables, TableWant } from "../../agent/reconcile/table-want.js";
import type { SandboxRef } from "../../agent/reconcile/want.js";
import { type Ip, ipToBytes } from "../../common/address.js";
import type { Packet } from "../fakes/nft-model.js";
import { inside, ip } from "./kernel-lab.js";

export const CLIENT = "10.0.1.2";
const PEER_MAC = "02:42:0a:00:01:ff";
// linux/if_packet.h, if_ether.h: every protocol, in network byte order.
const AF_PACKET = 17;
const ETH_P_ALL_BE = 0x0300;
// linux/in.h, asm-generic/socket.h
const IPPROTO_RAW = 255;
const SO_MARK = 36;
const MARKER_PORT = 9;
const NOBODY = new Map();
const NO_LINK = {
  ...{ ifindex: 0, kind: "veth", mac: "", mtuBytes: 1500, up: true, alias: "", master: 0 },
  ...{ port: undefined, vxlan: undefined },
};

export interface Arrived {
  readonly destination: string;
  readonly port: number;
  readonly mac: string;
}

export class NftLab {
  readonly #name: string;
  readonly #runDir = mkdtempSync("/tmp/skein-nft-");
  readonly sandbox: SandboxRef;
  readonly path: string;
  readonly #places: Places;
  readonly filters: PacketFilters;
  readonly #raw: number;
  readonly #capture: number;
  #id = 0;

  constructor(prefix: string) {
    this.#name = `${prefix}${process.pid}`;
    const [client, peer] = [`${this.#name}c`, `${this.#name}p`];
    for (const name of [client, peer]) {
      ip("netns", "add", name);
      ip("-n", name, "link", "set", "lo", "up");
    }
    const wire = ["eth0", "up", "type", "veth", "peer", "name", "eth0", "address", PEER_MAC];
    ip("-n", client, "link", "add", ...wire, "netns", peer);
    ip("-n", peer, "link", "set", "eth0", "up");
    ip("-n", client, "addr", "add", `${CLIENT}/24`, "dev", "eth0");
    ip("-n", client, "addr", "add", "fd00:1::2/64", "dev", "eth0", "nodad");
    for (let n = 3; n < 40; n++) {
      ip("-n", client, "neigh", "add", `10.0.1.${n}`, "lladdr", PEER_MAC, "dev", "eth0");
    }
    this.path = `/run/netns/${client}`;
    this.sandbox = { kind: "foreign", path: this.path };
    this.#places = new Places(this.#runDir, () => {});
    this.filters = new PacketFilters(this.#runDir, this.#places);
    this.#raw = within(this.path, () => socket(AF_INET, SOCK_RAW, IPPROTO_RAW));
    this.#capture = within(`/run/netns/${peer}`, () => socket(AF_PACKET, SOCK_RAW, ETH_P_ALL_BE));
  }

  /** As the plan has it; returns what was done. */
  write(tables: readonly TableWant[], filters = this.filters): readonly ChangeTables[] {
    const steps = this.plan(tables, filters);
    for (const step of steps) filters.change(step);
    return steps;
  }

  /** What is to be done; `afresh`: as seen by one that remembers nothing. */
  plan(tables: readonly TableWant[], filters = this.filters): readonly ChangeTables[] {
    const key = sandboxKey(this.sandbox);
    const found = filters.look(this.sandbox, false);
    const names = [...inside(this.path, "ip", "-o", "link").matchAll(/^\d+: ([^:@]+)/gm)];
    const links = names.map(([, name = ""]) => ({ ...NO_LINK, name }));
    const wanted: NamespaceTables[] = [{ sandbox: this.sandbox, tables }];
    const { before, hooks, after } = planTables(
      wanted,
      new Set(),
      {
        sandboxes: new Set(),
        networks: NOBODY,
        insides: new Map([[key, { links, addresses: [], routes: [] }]]),
        underlay: { links: [], addresses: [], routes: [] },
        tables: new Map(found ? [[key, found]] : []),
      },
      () => true,
    );
    return [...before, ...hooks, ...after];
  }

  planAfresh(tables: readonly TableWant[]): readonly ChangeTables[] {
    const filters = new PacketFilters(this.#runDir, this.#places);
    try {
      return this.plan(tables, filters);
    } finally {
      filters.close();
    }
  }

  nft(...args: string[]): string {
    return inside(this.path, "nft", ...args);
  }

  /** IPv4 only. What has arrived of each; undefined: nothing. */
  async send(packets: readonly Packet[]): Promise<(Arrived | undefined)[]> {
    const first = this.#id + 1;
    for (const packet of packets) this.#send(packet);
    // Frames keep their order: when this one is there, so is all before it. It is let through by every test's rules.
    this.#send({ ...(packets[0] as Packet), ...marker() });
    const last = this.#id;
    const arrived = new Map<number, Arrived>();
    for (let tries = 0; tries < 500 && !arrived.has(last); tries++) {
      this.#read(arrived);
      if (!arrived.has(last)) await sleep(2);
    }
    if (!arrived.has(last)) throw new Error("the last packet did not arrive");
    return packets.map((_packet, i) => arrived.get(first + i));
  }

  close(): void {
    closeSync(this.#raw);
    closeSync(this.#capture);
    this.filters.close();
    this.#places.close();
    for (const end of ["c", "p"]) ip("netns", "del", this.#name + end);
    rmSync(this.#runDir, { recursive: true, force: true });
  }

  #send(packet: Packet): void {
    const bytes = ipv4(packet, ++this.#id);
    setsockopt(this.#raw, SOL_SOCKET, SO_MARK, packet.mark);
    try {
      sendto(this.#raw, bytes, 0, socketAddress(packet.destination, 0));
    } catch {
      // EPERM: dropped or refused, which the capture says too.
    }
  }

  #read(into: Map<number, Arrived>): void {
    const buffer = Buffer.alloc(2048);
    while (tryRecv(this.#capture, buffer, MSG_DONTWAIT) > 0) {
      if (buffer.readUInt16BE(12) !== 0x0800) continue;
      const mac = buffer.toString("hex", 0, 6).replace(/..(?=.)/g, "$&:");
      const header = buffer.subarray(14);
      const id = header.readUInt16BE(4);
      const destination = [...header.subarray(16, 20)].join(".");
      into.set(id, { destination, port: header.readUInt16BE(22), mac });
    }
  }
}

function marker(): Partial<Packet> {
  const destination: Ip = { family: 4, value: 0x0a000103n };
  return {
    destination,
    protocol: 17,
    destinationPort: MARKER_PORT,
    sourcePort: MARKER_PORT,
    mark: 0,
  };
}

/** RFC 791, with the beginning of TCP (a SYN) or UDP; the kernel fills in the header's checksum. */
function ipv4(packet: Packet, id: number): Buffer {
  const isTcp = packet.protocol === 6;
  const bytes = Buffer.alloc(20 + (isTcp ? 20 : 8));
  bytes.writeUInt8(0x45, 0);
  bytes.writeUInt16BE(bytes.length, 2);
  bytes.writeUInt16BE(id, 4);
  bytes.writeUInt8(64, 8);
  bytes.writeUInt8(packet.protocol, 9);
  bytes.set(ipToBytes(packet.source), 12);
  bytes.set(ipToBytes(packet.destination), 16);
  bytes.writeUInt16BE(packet.sourcePort, 20);
  bytes.writeUInt16BE(packet.destinationPort, 22);
  if (isTcp) {
    bytes.writeUInt8(0x50, 32);
    bytes.writeUInt8(0x02, 33);
    bytes.writeUInt16BE(65_535, 34);
  } else bytes.writeUInt16BE(8, 24);
  return bytes;
}
