// The first half of a frame's life in the userspace path: from a TAP device to the node, or nodes, that it is for.
//
//   in memory, as read      | virtio-net 10 | Ethernet | IP | TCP | payload …
//   as sent              2  | VXLAN       8 | Ethernet | IP | TCP | payload …
//
// The VXLAN header takes the place of what the TAP device said about the frame, so a frame goes out from where it came
// in. A frame too long for the wire is cut first (segment.ts); what is sent then are its parts' headers and payloads, in
// turns.
import type { DatagramSender } from "../seams.js";
import { ETHERNET_BYTES } from "./ethernet.js";
import { checksumFrom } from "./internet-checksum.js";
import { etherTypeEnd } from "./layout.js";
import type { Memory } from "./memory.js";
import { cut, headerSpace, Segments, type Superframe } from "./segment.js";
import {
  BYTES_OUT,
  count,
  FRAMES_OUT,
  MALFORMED,
  NOT_FROM_HERE,
  UNKNOWN_DESTINATION,
} from "./switch-counters.js";
import { LOCAL, type SwitchTable } from "./switch-table.js";
import {
  GSO_ECN,
  GSO_NONE,
  GSO_TCPV4,
  GSO_TCPV6,
  NEEDS_CSUM,
  VIRTIO_NET_BYTES,
} from "./virtio-net.js";
import { VXLAN_BYTES, VXLAN_FLAG_I } from "./vxlan.js";

/** A network as one of the switch's threads has it. */
export interface SwitchNetwork {
  /** Descriptor of its TAP device. */
  readonly tap: number;
  /** To the other nodes. */
  readonly sender: DatagramSender;
  readonly table: SwitchTable;
  readonly counters: Float64Array;
}

export class Outward {
  /** Where the next frame may be put: behind this one and all that was written for it. */
  nextAt = 0;
  readonly #segments = new Segments();
  readonly #frame: Superframe = {
    at: 0,
    end: 0,
    prefixBytes: VXLAN_BYTES,
    ipAt: 0,
    family: 4,
    transportAt: 0,
    gsoBytes: 0,
  };

  constructor(
    private readonly memory: Memory,
    /** Where memory for frames ends. */
    private readonly endAt: number,
  ) {}

  /** What lies at `at` is a virtio-net header and a frame. It stays there until the sender has flushed. */
  take(network: SwitchNetwork, at: number, lengthBytes: number): void {
    const { view } = this.memory;
    const frameAt = at + VIRTIO_NET_BYTES;
    const end = at + lengthBytes;
    this.nextAt = (end + 7) & ~3;
    if (frameAt + ETHERNET_BYTES > end) return void count(network.counters, MALFORMED);
    const { table } = network;
    const source = table.find(view.getUint16(frameAt + 6), view.getInt32(frameAt + 8));
    const isGroup = (view.getUint8(frameAt) & 1) !== 0;
    if (source !== LOCAL) return void count(network.counters, NOT_FROM_HERE);
    const peer = isGroup ? 0 : table.find(view.getUint16(frameAt), view.getInt32(frameAt + 2));
    if (peer < 0) return void count(network.counters, UNKNOWN_DESTINATION);

    const gsoType = view.getUint8(at + 1) & ~GSO_ECN;
    const flags = view.getUint8(at);
    const checksumStart = frameAt + view.getUint16(at + 6, true);
    const checksumOffset = view.getUint16(at + 8, true);
    const gsoBytes = view.getUint16(at + 4, true);
    // From here on the VXLAN header stands in the virtio-net header's place.
    view.setUint32(frameAt - VXLAN_BYTES, VXLAN_FLAG_I << 24);
    view.setUint32(frameAt - VXLAN_BYTES + 4, table.vni << 8);
    if (gsoType !== GSO_NONE) {
      this.#cutAndSend(network, peer, isGroup, frameAt, end, gsoType, checksumStart, gsoBytes);
      return;
    }
    if ((flags & NEEDS_CSUM) !== 0) {
      const field = checksumStart + checksumOffset;
      if (field + 2 > end) return void count(network.counters, MALFORMED);
      // RFC 768: a sum of zero is sent as ones; TCP takes them for the same.
      view.setUint16(field, checksumFrom(this.memory.sum(checksumStart, end)) || 0xffff);
    }
    const from = frameAt - VXLAN_BYTES;
    if (!isGroup) return void this.#send(network, peer, from, end - from);
    for (let i = 0; i < table.floodCount; i++) {
      this.#send(network, table.floodPeer(i), from, end - from);
    }
  }

  #send(network: SwitchNetwork, peer: number, at: number, lengthBytes: number): void {
    network.sender.packet(peer, lengthBytes, network.counters);
    network.sender.piece(at, lengthBytes);
    count(network.counters, FRAMES_OUT);
    count(network.counters, BYTES_OUT, lengthBytes - VXLAN_BYTES);
  }

  #cutAndSend(
    network: SwitchNetwork,
    peer: number,
    isGroup: boolean,
    at: number,
    end: number,
    gsoType: number,
    transportAt: number,
    gsoBytes: number,
  ): void {
    const { view } = this.memory;
    const frame = this.#frame;
    frame.at = at;
    frame.end = end;
    frame.ipAt = etherTypeEnd(view, at, end);
    frame.family = gsoType === GSO_TCPV6 ? 6 : 4;
    frame.transportAt = transportAt;
    frame.gsoBytes = gsoBytes;
    const isTcp = gsoType === GSO_TCPV4 || gsoType === GSO_TCPV6;
    // A stream has one end: nobody sends one to a group.
    if (!isTcp || isGroup || this.nextAt + headerSpace(frame) > this.endAt) {
      return void count(network.counters, MALFORMED);
    }
    const segments = this.#segments;
    if (!cut(this.memory, frame, this.nextAt, segments))
      return void count(network.counters, MALFORMED);
    const { headerBytes } = segments;
    for (let i = 0; i < segments.count; i++) {
      const payloadBytes = segments.payloadBytes[i] ?? 0;
      network.sender.packet(peer, headerBytes + payloadBytes, network.counters);
      network.sender.piece(segments.headerAt[i] ?? 0, headerBytes);
      network.sender.piece(segments.payloadAt[i] ?? 0, payloadBytes);
    }
    this.nextAt += segments.count * ((headerBytes + 7) & ~3);
    const prefixes = (segments.count - 1) * (headerBytes - VXLAN_BYTES);
    count(network.counters, FRAMES_OUT, segments.count);
    count(network.counters, BYTES_OUT, end - at + prefixes);
  }
}
