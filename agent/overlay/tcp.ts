// TCP headers (RFC 9293 section 3.1), as far as a switch and a reader of captures care.
//
//   0        2        4           8           12            13     14       16         18       20
//   +--------+--------+-----------+-----------+-------------+------+--------+----------+--------+---------
//   | source | dest.  | sequence  | acknowl.  |offset 4|rsv |flags | window | checksum | urgent | options…
//   +--------+--------+-----------+-----------+-------------+------+--------+----------+--------+---------

export const TCP_BYTES = 20;

// Bits of the flags' byte.
export const TCP_FIN = 0x01;
export const TCP_SYN = 0x02;
export const TCP_RST = 0x04;
export const TCP_PSH = 0x08;
export const TCP_ACK = 0x10;
export const TCP_URG = 0x20;
export const TCP_ECE = 0x40;
export const TCP_CWR = 0x80;

export interface Tcp {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly sequence: number;
  readonly acknowledgement: number;
  /** TCP_… bits. */
  readonly flags: number;
  readonly window: number;
  readonly checksum: number;
  readonly urgent: number;
  readonly options: Buffer;
  readonly payload: Buffer;
}

/** undefined: cut short. */
export function decodeTcp(bytes: Buffer): Tcp | undefined {
  if (bytes.length < TCP_BYTES) return undefined;
  const headerBytes = (bytes.readUInt8(12) >>> 4) * 4;
  if (headerBytes < TCP_BYTES || headerBytes > bytes.length) return undefined;
  return {
    sourcePort: bytes.readUInt16BE(0),
    destinationPort: bytes.readUInt16BE(2),
    sequence: bytes.readUInt32BE(4),
    acknowledgement: bytes.readUInt32BE(8),
    flags: bytes.readUInt8(13),
    window: bytes.readUInt16BE(14),
    checksum: bytes.readUInt16BE(16),
    urgent: bytes.readUInt16BE(18),
    options: bytes.subarray(TCP_BYTES, headerBytes),
    payload: bytes.subarray(headerBytes),
  };
}

/** `options` are a multiple of 4 bytes, 40 at most. */
export function encodeTcp(segment: Tcp): Buffer {
  const header = Buffer.alloc(TCP_BYTES + segment.options.length);
  header.writeUInt16BE(segment.sourcePort, 0);
  header.writeUInt16BE(segment.destinationPort, 2);
  header.writeUInt32BE(segment.sequence, 4);
  header.writeUInt32BE(segment.acknowledgement, 8);
  header[12] = (header.length / 4) << 4;
  header[13] = segment.flags;
  header.writeUInt16BE(segment.window, 14);
  header.writeUInt16BE(segment.checksum, 16);
  header.writeUInt16BE(segment.urgent, 18);
  header.set(segment.options, TCP_BYTES);
  return Buffer.concat([header, segment.payload]);
}
