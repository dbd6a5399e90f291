// MAC addresses between text and bytes.
import type { Mac } from "../../common/ids.js";

export const MAC_BYTES = 6;

/** Of six bytes from `at` on, which must be there. */
export function macAt(bytes: Uint8Array, at: number): Mac {
  let text = "";
  for (let i = at; i < at + MAC_BYTES; i++) {
    const byte = (bytes[i] ?? 0).toString(16).padStart(2, "0");
    text += i === at ? byte : `:${byte}`;
  }
  return text as Mac;
}

export function macToBytes(mac: Mac): Buffer {
  return Buffer.from(mac.replaceAll(":", ""), "hex");
}
