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
  const bytes = Buffer.allocUnsafe(MAC_BYTES);
  for (let i = 0; i < MAC_BYTES; i++) {
    bytes[i] = (nibble(mac.charCodeAt(3 * i)) << 4) | nibble(mac.charCodeAt(3 * i + 1));
  }
  return bytes;
}
/** Of a hexadecimal digit, in either case. */
function nibble(code: number): number {
  return (code & 0xf) + (code >= 0x40 ? 9 : 0);
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
  const bytes = ipv4TextBytes(text);
  if (bytes !== undefined) return bytes;
  const ip: Ip | undefined = parseIp(text);
  return ip === undefined ? new Uint8Array(0) : ipToBytes(ip);
}

/** Undefined unless there are four numbers with dots between. What is canonical needs no more checks. */
function ipv4TextBytes(text: string): Uint8Array | undefined {
  const bytes = new Uint8Array(4);
  let part = 0;
  let value = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code >= 0x30 && code <= 0x39) value = value * 10 + code - 0x30;
    else if (code !== 0x2e || part === 3) return undefined;
    else {
      bytes[part++] = value;
      value = 0;
    }
  }
  bytes[part] = value;
  return part === 3 ? bytes : undefined;
}
