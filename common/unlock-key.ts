// Unlock keys: SWMKEY-1-<base64, unpadded>, Docker's form (swarmkit manager/encryption). What a manager's
// disk is sealed with in an autolocked swarm.
import { timingSafeEqual } from "node:crypto";
import { type Refusal, refuse } from "./fault.js";
import type { Random } from "./random.js";

/** AES-256. */
export const UNLOCK_KEY_BYTES = 32;
// Ours have 43 digits; Docker takes a text of another length for a key, too: one that opens nothing.
const UNLOCK_KEY = /^SWMKEY-1-([A-Za-z0-9+/]{1,128})$/;

export function newUnlockKey(random: Random): Buffer {
  return Buffer.from(random.bytes(UNLOCK_KEY_BYTES));
}

/** Empty for no key, as Docker answers for a swarm that is not locked. */
export function formatUnlockKey(key: Uint8Array): string {
  if (key.length === 0) return "";
  return `SWMKEY-1-${Buffer.from(key).toString("base64").replace(/=+$/, "")}`;
}

/** A refusal, in Docker's words, when it has not the form of a key. */
export function parseUnlockKey(text: string): Uint8Array | Refusal {
  const digits = UNLOCK_KEY.exec(text.trim())?.[1];
  if (digits === undefined) return refuse("invalid-argument", "invalid key string");
  return Buffer.from(digits, "base64");
}

export function sameKey(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
