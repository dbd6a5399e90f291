// The header that says which network a frame belongs to (RFC 7348 section 5).
//
//   0             1           4          7          8
//   +-------------+-----------+----------+----------+------------
//   | R R R R I R R R | reserved |   VNI    | reserved | the frame…
//   +-------------+-----------+----------+----------+------------
import { parseVni, type Vni } from "../../common/ids.js";

export const VXLAN_BYTES = 8;
/** "The I flag MUST be set to 1 for a valid VXLAN Network ID"; the other bits are ignored on receipt, zero on sending. */
export const VXLAN_FLAG_I = 0x08;

export interface Vxlan {
  readonly vni: Vni;
  readonly frame: Buffer;
}

/** undefined: cut short, no I flag, or VNI 0, which no network has. */
export function decodeVxlan(bytes: Buffer): Vxlan | undefined {
  if (bytes.length < VXLAN_BYTES || (bytes.readUInt8(0) & VXLAN_FLAG_I) === 0) return undefined;
  const vni = parseVni(bytes.readUIntBE(4, 3));
  return vni === undefined ? undefined : { vni, frame: bytes.subarray(VXLAN_BYTES) };
}

/** The header alone: 8 bytes. */
export function encodeVxlan(vni: Vni): Buffer {
  const bytes = Buffer.alloc(VXLAN_BYTES);
  bytes[0] = VXLAN_FLAG_I;
  bytes.writeUIntBE(vni, 4, 3);
  return bytes;
}
