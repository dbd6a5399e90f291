// Rules of nf_tables on one packet, as the kernel does them: registers, comparisons, maps, verdicts. What a packet is
// and what a connection has become is for nft-model.ts.

import type { Expression, RejectWith } from "../../agent/netlink/nftables-expression.js";
import { hostOrder, NFPROTO } from "../../agent/reconcile/rule-words.js";
import type { TableWant } from "../../agent/reconcile/table-want.js";
import { type Ip, ipToBytes } from "../../common/address.js";
import { hashBelow } from "./nft-jhash.js";

export interface Packet {
  readonly source: Ip;
  readonly destination: Ip;
  /** IPPROTO_*. */
  readonly protocol: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** Empty: this namespace sends it. */
  readonly iif: string;
  readonly oif: string;
  readonly mark: number;
  /** "02:42:0a:00:00:02"; undefined: it has no link header yet. */
  readonly sourceMac: string | undefined;
  readonly destinationMac: string | undefined;
  /** All of it as a frame of Ethernet; then headers are read from here. */
  readonly frame?: Buffer;
}

/** What conntrack knows of the packet; undefined before it has looked. */
export interface Connection {
  readonly state: number;
  readonly status: number;
  readonly direction: 0 | 1;
  mark: number;
}

export interface Translation {
  readonly address: Ip;
  readonly port: number | undefined;
}

export type Verdict =
  | { readonly kind: "accept" | "drop" }
  | { readonly kind: "reject"; readonly with: RejectWith }
  | { readonly kind: "dnat" | "snat"; readonly to: Translation }
  | { readonly kind: "masquerade" }
  | { readonly kind: "redirect"; readonly port: number };

export interface Surroundings {
  readonly table: TableWant;
  readonly connection: Connection | undefined;
  /** 0 to before `modulus`. */
  readonly random: (modulus: number) => number;
  /** RTN_*. */
  readonly typeOf: (destination: Ip) => number;
}

/** What the chain says, and the packet as its rules left it. Undefined: it came to its end. */
export function runChain(
  name: string,
  packet: Packet,
  around: Surroundings,
): { readonly verdict: Verdict | undefined; readonly packet: Packet } {
  const run = new Run(packet, around);
  const verdict = run.chain(name, 0);
  return { verdict, packet: run.packet };
}

type Outcome = "go on" | "next rule" | "return" | { readonly verdict: Verdict | undefined };

// nf_tables.h: NFT_JUMP_STACK_SIZE.
const JUMPS_MAX = 16;
const REGISTER_BYTES = 64;

class Run {
  readonly #registers = Buffer.alloc(REGISTER_BYTES);

  constructor(
    public packet: Packet,
    private readonly around: Surroundings,
  ) {}

  chain(name: string, depth: number): Verdict | undefined {
    const chain = this.around.table.chains.find((each) => each.name === name);
    if (chain === undefined) throw new Error(`no chain ${name}`);
    if (depth > JUMPS_MAX) throw new Error(`too many jumps at ${name}`);
    for (const { expressions } of chain.rules) {
      for (const expression of expressions) {
        const outcome = this.#do(expression, depth);
        if (outcome === "next rule") break;
        if (outcome === "return") return undefined;
        if (outcome !== "go on") return outcome.verdict;
      }
    }
    return undefined;
  }

  #do(e: Expression, depth: number): Outcome {
    switch (e.kind) {
      case "payload": {
        const header = headerOf(this.packet, e.header);
        if (header === undefined || e.offset + e.bytes > header.length) return "next rule";
        this.#set(e.to, header.subarray(e.offset, e.offset + e.bytes));
        return "go on";
      }
      case "payload-set": {
        const header = headerOf(this.packet, e.header);
        if (header === undefined) return "next rule";
        this.#get(e.from, e.bytes).copy(header, e.offset);
        const destinationMac = macText(header.subarray(0, 6));
        this.packet = {
          ...this.packet,
          destinationMac,
          sourceMac: macText(header.subarray(6, 12)),
        };
        return "go on";
      }
      case "meta":
        this.#set(e.to, metaOf(this.packet, e.key));
        return "go on";
      case "meta-set":
        this.packet = { ...this.packet, mark: this.#get(e.from, 4).readUInt32LE() };
        return "go on";
      case "ct":
        return this.#ct(e);
      case "ct-set":
        if (this.around.connection) {
          this.around.connection.mark = this.#get(e.from, 4).readUInt32LE();
        }
        return "go on";
      case "ct-zone":
        // The model follows one connection at a time.
        return "go on";
      case "fib-daddr-type":
        this.#set(e.to, hostOrder(this.around.typeOf(this.packet.destination)));
        return "go on";
      case "random":
        this.#set(e.to, hostOrder(this.around.random(e.modulus)));
        return "go on";
      case "hash":
        this.#set(e.to, hostOrder(hashBelow(this.#get(e.from, e.bytes), e.modulus, e.seed)));
        return "go on";
      case "bitwise": {
        const value = this.#get(e.from, e.mask.length);
        this.#set(
          e.to,
          value.map((byte, i) => (byte & (e.mask[i] ?? 0)) ^ (e.xor[i] ?? 0)),
        );
        return "go on";
      }
      case "cmp": {
        const same = this.#get(e.from, e.value.length).equals(e.value);
        return same === (e.is === "equal") ? "go on" : "next rule";
      }
      case "load":
        this.#set(e.to, e.value);
        return "go on";
      case "lookup":
        return this.#lookup(e, depth);
      case "dnat":
      case "snat": {
        if (e.family !== NFPROTO[this.packet.destination.family]) return "go on";
        const address = this.#address(e.address);
        const withPort = e.kind === "dnat" && e.port !== undefined;
        const port = withPort ? this.#get(e.port ?? 0, 2).readUInt16BE() : undefined;
        return { verdict: { kind: e.kind, to: { address, port } } };
      }
      case "masquerade":
        return { verdict: { kind: "masquerade" } };
      case "redirect":
        return { verdict: { kind: "redirect", port: this.#get(e.port, 2).readUInt16BE() } };
      case "reject":
        if (e.with === "tcp-reset" && this.packet.protocol !== 6)
          return { verdict: { kind: "drop" } };
        return { verdict: { kind: "reject", with: e.with } };
      case "counter":
      case "note":
        return "go on";
      case "over-limit":
        // The model sends few.
        return "next rule";
      case "verdict":
        return e.verdict === "return" ? "return" : { verdict: { kind: e.verdict } };
      case "goto":
        return { verdict: this.chain(e.chain, depth) };
      case "jump": {
        const verdict = this.chain(e.chain, depth + 1);
        return verdict === undefined ? "next rule" : { verdict };
      }
    }
  }

  #ct(e: Extract<Expression, { kind: "ct" }>): Outcome {
    const { connection } = this.around;
    // nft_ct.c: what conntrack does not know has the state "invalid", and nothing else.
    if (e.key === "state") this.#set(e.to, hostOrder(connection?.state ?? 1));
    else if (connection === undefined) return "next rule";
    else if (e.key === "direction") this.#set(e.to, Uint8Array.of(connection.direction));
    else this.#set(e.to, hostOrder(connection[e.key]));
    return "go on";
  }

  #lookup(e: Extract<Expression, { kind: "lookup" }>, depth: number): Outcome {
    const map = this.around.table.maps.find(({ name }) => name === e.set);
    if (map === undefined) throw new Error(`no set ${e.set}`);
    const found = map.elements.get(this.#get(e.from, map.keyBytes).toString("hex"));
    if ((found !== undefined) === (e.inverted ?? false)) return "next rule";
    if (e.to === undefined || found === undefined) return "go on";
    if (e.to === "verdict") return { verdict: this.chain(found, depth) };
    this.#set(e.to, Buffer.from(found, "hex"));
    return "go on";
  }

  #address(register: number): Ip {
    const { family } = this.packet.destination;
    const hex = this.#get(register, family === 4 ? 4 : 16).toString("hex");
    return { family, value: BigInt(`0x${hex}`) };
  }

  #get(register: number, bytes: number): Buffer {
    return Buffer.from(this.#registers.subarray(register * 4, register * 4 + bytes));
  }

  /** The rest of the last register is zero. */
  #set(register: number, value: Uint8Array): void {
    const at = register * 4;
    this.#registers.fill(0, at, at + Math.ceil(value.length / 4) * 4);
    this.#registers.set(value, at);
  }
}

const ETHERTYPE = { 4: 0x0800, 6: 0x86dd } as const;

function metaOf(packet: Packet, key: Extract<Expression, { kind: "meta" }>["key"]): Uint8Array {
  const { family } = packet.destination;
  if (packet.frame !== undefined && key === "protocol") return packet.frame.subarray(12, 14);
  switch (key) {
    case "iifname":
    case "oifname": {
      const name = Buffer.alloc(16);
      name.write(key === "iifname" ? packet.iif : packet.oif);
      return name;
    }
    case "l4proto":
      return Uint8Array.of(packet.protocol);
    case "nfproto":
      return Uint8Array.of(NFPROTO[family]);
    case "protocol":
      return Uint8Array.of(ETHERTYPE[family] >> 8, ETHERTYPE[family] & 0xff);
    case "mark":
      return hostOrder(packet.mark);
  }
}

/** As far as rules look: addresses, protocol and ports. */
function headerOf(packet: Packet, header: "link" | "network" | "transport"): Buffer | undefined {
  const { source, destination, sourceMac, destinationMac, protocol, frame } = packet;
  const { family } = destination;
  if (frame !== undefined) return partOf(frame, header);
  if (header === "link") {
    if (sourceMac === undefined || destinationMac === undefined) return undefined;
    const bytes = Buffer.alloc(14);
    Buffer.from(destinationMac.replaceAll(":", ""), "hex").copy(bytes, 0);
    Buffer.from(sourceMac.replaceAll(":", ""), "hex").copy(bytes, 6);
    bytes.writeUInt16BE(ETHERTYPE[family], 12);
    return bytes;
  }
  if (header === "transport") {
    const bytes = Buffer.alloc(8);
    bytes.writeUInt16BE(packet.sourcePort, 0);
    bytes.writeUInt16BE(packet.destinationPort, 2);
    return bytes;
  }
  const bytes = Buffer.alloc(family === 4 ? 20 : 40);
  bytes.writeUInt8(family === 4 ? 0x45 : 0x60, 0);
  bytes.writeUInt8(protocol, family === 4 ? 9 : 6);
  bytes.set(ipToBytes(source), family === 4 ? 12 : 8);
  bytes.set(ipToBytes(destination), family === 4 ? 16 : 24);
  return bytes;
}

/** Without options and extension headers. */
function partOf(frame: Buffer, header: "link" | "network" | "transport"): Buffer | undefined {
  if (header === "link") return frame.subarray(0, 14);
  if (header === "network") return frame.subarray(14);
  const type = frame.readUInt16BE(12);
  if (type !== ETHERTYPE[4] && type !== ETHERTYPE[6]) return undefined;
  return frame.subarray(type === ETHERTYPE[4] ? 34 : 54);
}

function macText(bytes: Buffer): string {
  return bytes.toString("hex").replace(/..(?=.)/g, "$&:");
}
