// Identifiers as Docker shows them: 25 characters of base 36 for what the swarm holds, 64 hexadecimal
// digits for what lives on one node.
import type { Random } from "./random.js";

declare const brand: unique symbol;
type Branded<T, Name extends string> = T & { readonly [brand]: Name };

/** VXLAN network identifier, 1 to 16777215 (RFC 7348 section 5: 24 bits). */
export type Vni = Branded<number, "Vni">;
/** "02:42:0a:00:01:03", lower case. */
export type Mac = Branded<string, "Mac">;

const SWARM_ID_LENGTH = 25;
// 128 random bits in base 36 have at most 25 digits (36^24 < 2^128 < 36^25).
const SWARM_ID = /^[0-9a-z]{25}$/;
const LOCAL_ID = /^[0-9a-f]{64}$/;

/** An id for a replicated object: 128 random bits, base 36, padded to 25 characters. */
export function newSwarmId(random: Random): string {
  const value = BigInt(`0x${Buffer.from(random.bytes(16)).toString("hex")}`);
  return value.toString(36).padStart(SWARM_ID_LENGTH, "0");
}

/** An id for something on one node (a container, an exec): 32 random bytes in hexadecimal. */
export function newLocalId(random: Random): string {
  return Buffer.from(random.bytes(32)).toString("hex");
}

export function isSwarmId(text: string): boolean {
  return SWARM_ID.test(text);
}

export function isLocalId(text: string): boolean {
  return LOCAL_ID.test(text);
}

export function parseMac(text: string): Mac | undefined {
  return /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(text) ? (text as Mac) : undefined;
}

export const VNI_MAX = 0xffffff;

/**
 * The nodes' own, by which they watch each other: no network can have it. The second to last there is, for people who
 * count from the top.
 */
export const WATCH_VNI = 0xff_fffe as Vni;

export function parseVni(value: number): Vni | undefined {
  return Number.isInteger(value) && value >= 1 && value <= VNI_MAX ? (value as Vni) : undefined;
}
