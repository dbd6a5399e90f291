// The file format of tcpdump and Wireshark (draft-ietf-opsawg-pcap), with nanoseconds, in this machine's byte order
// (little-endian): a header, and before each frame
//
//   0            4             8              12             16
//   +------------+-------------+--------------+--------------+---------
//   | seconds    | nanoseconds | bytes here   | bytes it had | frame…
//   +------------+-------------+--------------+--------------+---------

const MAGIC_NANOSECONDS = 0xa1b23c4d;
const LINKTYPE_ETHERNET = 1;

export function pcapHeader(snapBytes: number): Buffer {
  const header = Buffer.alloc(24);
  header.writeUInt32LE(MAGIC_NANOSECONDS, 0);
  // Version 2.4; two fields that are always zero.
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(snapBytes, 16);
  header.writeUInt32LE(LINKTYPE_ETHERNET, 20);
  return header;
}

export interface PcapFrame {
  readonly seconds: number;
  readonly nanoseconds: number;
  readonly length: number;
  readonly data: Uint8Array;
}

export function pcapRecord({ seconds, nanoseconds, length, data }: PcapFrame): Buffer {
  const record = Buffer.alloc(16 + data.length);
  record.writeUInt32LE(seconds % 0x1_0000_0000, 0);
  record.writeUInt32LE(nanoseconds, 4);
  record.writeUInt32LE(data.length, 8);
  record.writeUInt32LE(Math.max(length, data.length), 12);
  record.set(data, 16);
  return record;
}
