// Hardware and Internet addresses between wire bytes and text, without garbage on the way: a dump of
// a large network converts tens of thousands.
import { formatIp, type Ip, ipFromBytes, ipToBytes, parseIp } from "../../common/address.js";

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
const MAC_BYTES = 6;

/** "02:42:0a:00:01:03"; empty unless there are six bytes. */
export function macText(bytes: Buffer, from: number, to: number): string {
  if (to - from !== MAC_BYTES) return "";
  let text = HEX[bytes[from] ?? 0] ?? "";
  for (let at = from + 1; at < to; at++) text += `:${HEX[bytes[at] ?? 0]}`;
  return text;
}

export function macBytes(mac: string): Buffer {
  const bytes = Buffer.alloc(MAC_BYTES);
  for (let i = 0; i < MAC_BYTES; i++) bytes[i] = Number.parseInt(mac.slice(3 * i, 3 * i + 2), 16);
  return bytes;
}

/** Canonical text; empty unless there are 4 or 16 bytes. */
export function ipText(bytes: Buffer, from: number, to: number): string {
  if (to - from === 4)
    return `${bytes[from]}.${bytes[from + 1]}.${bytes[from + 2]}.${bytes[from + 3]}`;
  const ip = ipFromBytes(bytes.subarray(from, to));
  return ip === undefined ? "" : formatIp(ip);
}

/** The bytes of canonical text; empty if it is no address. */
export function ipTextBytes(text: string): Uint8Array {
  if (!text.includes(":")) {
    const parts = text.split(".");
    if (parts.length === 4) return Uint8Array.from(parts, Number);
  }
  const ip: Ip | undefined = parseIp(text);
  return ip === undefined ? new Uint8Array(0) : ipToBytes(ip);
}
