// UDP headers (RFC 768).
//
//   0             2                  4          6          8
//   +-------------+------------------+----------+----------+---------
//   | source port | destination port | length   | checksum | payload…
//   +-------------+------------------+----------+----------+---------

export const UDP_BYTES = 8;

export interface Udp {
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** As on the wire; 0: the sender computed none (IPv4 only). */
  readonly checksum: number;
  readonly payload: Buffer;
}

/** undefined: cut short, or its length says that it is. */
export function decodeUdp(bytes: Buffer): Udp | undefined {
  if (bytes.length < UDP_BYTES) return undefined;
  const lengthBytes = bytes.readUInt16BE(4);
  if (lengthBytes < UDP_BYTES || lengthBytes > bytes.length) return undefined;
  return {
    sourcePort: bytes.readUInt16BE(0),
    destinationPort: bytes.readUInt16BE(2),
    checksum: bytes.readUInt16BE(6),
    payload: bytes.subarray(UDP_BYTES, lengthBytes),
  };
}

export function encodeUdp(datagram: Udp): Buffer {
  const header = Buffer.alloc(UDP_BYTES);
  header.writeUInt16BE(datagram.sourcePort, 0);
  header.writeUInt16BE(datagram.destinationPort, 2);
  header.writeUInt16BE(UDP_BYTES + datagram.payload.length, 4);
  header.writeUInt16BE(datagram.checksum, 6);
  return Buffer.concat([header, datagram.payload]);
}
