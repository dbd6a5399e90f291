// What stands before each frame that crosses a TAP device with IFF_VNET_HDR: how far its checksum is done, and how it
// is to be cut (include/uapi/linux/virtio_net.h, struct virtio_net_hdr; host byte order).
//
//   0       1          2           4          6            8             10
//   +-------+----------+-----------+----------+------------+-------------+--------
//   | flags | gso type | hdr_len   | gso_size | csum_start | csum_offset | frame…
//   +-------+----------+-----------+----------+------------+-------------+--------

export const VIRTIO_NET_BYTES = 10;

// flags. NEEDS_CSUM: the checksum field holds the sum of the pseudo header only; what is from `csum_start` on is to be
// added. DATA_VALID: somebody has verified it.
export const NEEDS_CSUM = 1;
export const DATA_VALID = 2;
// gso types
export const GSO_NONE = 0;
export const GSO_TCPV4 = 1;
export const GSO_TCPV6 = 4;
/** A bit beside the others: the packets were sent with ECN's CWR, which goes on the first alone. */
export const GSO_ECN = 0x80;

export interface VirtioNet {
  readonly flags: number;
  readonly gsoType: number;
  /** Bytes of all headers, Ethernet's included; a hint. */
  readonly headerBytes: number;
  /** Payload bytes of each packet that the frame is to become. */
  readonly gsoBytes: number;
  /** Where in the frame what is to be summed begins. */
  readonly checksumStart: number;
  /** Where from there the checksum field is. */
  readonly checksumOffset: number;
}

export function decodeVirtioNet(bytes: Buffer): VirtioNet | undefined {
  if (bytes.length < VIRTIO_NET_BYTES) return undefined;
  return {
    flags: bytes.readUInt8(0),
    gsoType: bytes.readUInt8(1),
    headerBytes: bytes.readUInt16LE(2),
    gsoBytes: bytes.readUInt16LE(4),
    checksumStart: bytes.readUInt16LE(6),
    checksumOffset: bytes.readUInt16LE(8),
  };
}

export function encodeVirtioNet(header: VirtioNet): Buffer {
  const bytes = Buffer.alloc(VIRTIO_NET_BYTES);
  bytes[0] = header.flags;
  bytes[1] = header.gsoType;
  bytes.writeUInt16LE(header.headerBytes, 2);
  bytes.writeUInt16LE(header.gsoBytes, 4);
  bytes.writeUInt16LE(header.checksumStart, 6);
  bytes.writeUInt16LE(header.checksumOffset, 8);
  return bytes;
}
