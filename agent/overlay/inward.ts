// The second half of a frame's life in the userspace path: from the wire to the TAP device of its network.
//
//   in memory, as received  | … 2 | VXLAN    8 | Ethernet | IP | TCP | payload | VXLAN | Ethernet | …
//   as written              | virtio-net   10 | Ethernet | IP | TCP | payload |   and the next payloads
//
// A datagram that came as one with others is taken apart again; frames that follow each other in a stream are then
// merged (merge.ts) and written as one. Nothing is believed of a frame: its VNI must be here, its sender must be the
// node that its source lives on, and it must be for an endpoint of this node, or for all.
import { DROPS } from "../guard/drops.js";
import type { DatagramReceiver, TapWriter } from "../seams.js";
import { ETHERNET_BYTES } from "./ethernet.js";
import { IPPROTO_TCP } from "./ipv4.js";
import { checksumAt, Layout, layOut, TCP_CHECKSUM_OFFSET } from "./layout.js";
import type { Memory } from "./memory.js";
import { checksumStateOf, Run } from "./merge.js";
import type { SwitchNetwork } from "./outward.js";
import { PEER_BYTES } from "./peer-book.js";
import type { StrangerNotes } from "./stranger-book.js";
import {
  BYTES_IN,
  count,
  FRAMES_IN,
  MALFORMED,
  NOT_A_PEER,
  NOT_HERE,
  NOT_VXLAN,
  SPOOFED,
  TAP_REFUSED,
  TOO_BIG_IN,
  UNKNOWN_SOURCE,
  UNKNOWN_VNI,
} from "./switch-counters.js";
import { LOCAL, UNKNOWN } from "./switch-table.js";
import { GSO_TCPV4, GSO_TCPV6, NEEDS_CSUM, VIRTIO_NET_BYTES } from "./virtio-net.js";
import { VXLAN_BYTES, VXLAN_FLAG_I } from "./vxlan.js";

export interface InwardEnds {
  readonly receiver: DatagramReceiver;
  readonly writer: TapWriter;
  /** By VNI. */
  readonly networks: ReadonlyMap<number, SwitchNetwork>;
  /** A PeerBook's. */
  readonly peers: SharedArrayBuffer;
  readonly stray: Float64Array;
  readonly strangers: StrangerNotes;
  /** Of the underlay. */
  readonly addressBytes: 4 | 16;
}

export class Inward {
  readonly #layout = new Layout();
  readonly #run = new Run();
  #runNetwork: SwitchNetwork | undefined;
  #network: SwitchNetwork | undefined;
  readonly #peers: DataView;

  constructor(
    private readonly memory: Memory,
    private readonly ends: InwardEnds,
  ) {
    this.#peers = new DataView(ends.peers);
  }

  /** All that the receiver has now; when it returns, nothing of it is needed any more. */
  takeAll(datagrams: number): void {
    // A network may have been given a new table since the last time.
    this.#network = undefined;
    for (let i = 0; i < datagrams; i++) {
      const { receiver } = this.ends;
      const packetBytes = receiver.packetBytes(i);
      const sourceAt = receiver.sourceAt(i);
      let at = receiver.at(i);
      const end = at + receiver.lengthBytes(i);
      // One of no bytes is one all the same.
      do {
        this.#take(at, Math.min(at + packetBytes, end), sourceAt);
        at += packetBytes;
      } while (at < end);
    }
    this.#writeRun();
  }

  #take(at: number, end: number, sourceAt: number): void {
    const { view } = this.memory;
    if (at + VXLAN_BYTES > end || (view.getUint8(at) & VXLAN_FLAG_I) === 0)
      return void count(this.ends.stray, NOT_VXLAN);
    const vni = view.getUint32(at + 4) >>> 8;
    if (this.#network?.table.vni !== vni) this.#network = this.ends.networks.get(vni);
    const network = this.#network;
    if (network === undefined) {
      this.ends.strangers.note(DROPS.unknownVni, vni, view, sourceAt, this.ends.addressBytes);
      return void count(this.ends.stray, UNKNOWN_VNI);
    }
    const frameAt = at + VXLAN_BYTES;
    if (frameAt + ETHERNET_BYTES > end) return void count(network.counters, MALFORMED);
    const refused = this.#refusal(network, frameAt, sourceAt);
    if (refused === NOT_A_PEER)
      this.ends.strangers.note(DROPS.notAPeer, vni, view, sourceAt, this.ends.addressBytes);
    if (refused >= 0) return void count(network.counters, refused);
    this.#deliver(network, frameAt, end);
  }

  /** The place of the counter of why the frame is not for us; -1: it is. */
  #refusal({ table }: SwitchNetwork, at: number, sourceAt: number): number {
    const { view } = this.memory;
    const lives = table.find(view.getUint16(at + 6), view.getInt32(at + 8));
    if (lives < 0 || !this.#isPeer(lives, sourceAt)) {
      for (let i = 0; i < table.floodCount; i++) {
        if (this.#isPeer(table.floodPeer(i), sourceAt))
          return lives === UNKNOWN ? UNKNOWN_SOURCE : SPOOFED;
      }
      return NOT_A_PEER;
    }
    const isGroup = (view.getUint8(at) & 1) !== 0;
    if (isGroup || table.find(view.getUint16(at), view.getInt32(at + 2)) === LOCAL) return -1;
    return NOT_HERE;
  }

  #isPeer(peer: number, sourceAt: number): boolean {
    const { view } = this.memory;
    const peerAt = peer * PEER_BYTES;
    for (let i = 0; i < this.ends.addressBytes; i += 4) {
      if (this.#peers.getUint32(peerAt + i, true) !== view.getUint32(sourceAt + i, true))
        return false;
    }
    return true;
  }

  #deliver(network: SwitchNetwork, at: number, end: number): void {
    const { view } = this.memory;
    const layout = this.#layout;
    if (!layOut(view, at, end, layout)) {
      this.#writeRun();
      return void this.#writeAlone(network, at, end, 0);
    }
    const state = checksumStateOf(view, layout);
    const isLong = layout.end - layout.ipAt > network.table.mtuBytes;
    if (!isLong && this.#runNetwork === network) {
      if (this.#run.join(this.memory, at, layout, state)) return;
    }
    this.#writeRun();
    if (isLong) return void this.#writeLong(network, at, end, state === "partial");
    if (this.#run.begin(view, at, layout, state)) this.#runNetwork = network;
    else this.#writeAlone(network, at, end, state === "partial" ? NEEDS_CSUM : 0);
  }

  /**
   * A kernel on the same machine may hand its large segments over uncut, and says nothing of it. Only TCP can be cut
   * again: how long the parts of another were to be is not in it.
   */
  #writeLong(network: SwitchNetwork, at: number, end: number, isPartial: boolean): void {
    const { ipAt, payloadAt, protocol, family } = this.#layout;
    const gsoBytes = network.table.mtuBytes - (payloadAt - ipAt);
    if (!isPartial || protocol !== IPPROTO_TCP || gsoBytes < 1)
      return void count(network.counters, TOO_BIG_IN);
    this.#writeGsoHeader(at, family, this.#layout.transportAt, payloadAt, gsoBytes);
    this.ends.writer.piece(at - VIRTIO_NET_BYTES, end - at + VIRTIO_NET_BYTES);
    this.#write(network, 1, end - at);
  }

  /** As it came. What its checksum is worth, the receiving kernel finds out, unless it never was complete. */
  #writeAlone(network: SwitchNetwork, at: number, end: number, flags: number): void {
    const { view } = this.memory;
    const { mtuBytes } = network.table;
    if (end - at > mtuBytes + ETHERNET_BYTES + 4) return void count(network.counters, TOO_BIG_IN);
    const headerAt = at - VIRTIO_NET_BYTES;
    view.setUint32(headerAt, flags, true);
    view.setUint32(headerAt + 4, 0);
    view.setUint16(headerAt + 8, 0);
    if (flags !== 0) {
      const { transportAt } = this.#layout;
      view.setUint16(headerAt + 6, transportAt - at, true);
      view.setUint16(headerAt + 8, checksumAt(this.#layout) - transportAt, true);
    }
    this.ends.writer.piece(headerAt, end - headerAt);
    this.#write(network, 1, end - at);
  }

  #writeRun(): void {
    const run = this.#run;
    const network = this.#runNetwork;
    if (run.count === 0 || network === undefined) return;
    const { view } = this.memory;
    const { at, family, transportAt, payloadAt, gsoBytes } = run;
    const headerAt = at - VIRTIO_NET_BYTES;
    if (run.count === 1 && !run.isPartial) {
      view.setUint32(headerAt, 0);
      view.setUint32(headerAt + 4, 0);
      view.setUint16(headerAt + 8, 0);
    } else if (run.count === 1) {
      this.#writeGsoHeader(at, family, transportAt, payloadAt, 0);
    } else {
      run.finish(view);
      this.#writeGsoHeader(at, family, transportAt, payloadAt, gsoBytes);
    }
    this.ends.writer.piece(headerAt, run.pieceEnd(0) - headerAt);
    for (let i = 1; i < run.count; i++) {
      this.ends.writer.piece(run.pieceAt[i] ?? 0, run.pieceBytes[i] ?? 0);
    }
    const headers = payloadAt - at;
    this.#write(network, run.count, run.payloadBytes + headers * run.count);
    run.count = 0;
    this.#runNetwork = undefined;
  }

  /** `gsoBytes` 0: it is not to be cut, but its checksum is to be completed. */
  #writeGsoHeader(
    at: number,
    family: 4 | 6,
    transportAt: number,
    payloadAt: number,
    gsoBytes: number,
  ): void {
    const { view } = this.memory;
    const headerAt = at - VIRTIO_NET_BYTES;
    const gsoType = gsoBytes === 0 ? 0 : family === 4 ? GSO_TCPV4 : GSO_TCPV6;
    view.setUint8(headerAt, NEEDS_CSUM);
    view.setUint8(headerAt + 1, gsoType);
    view.setUint16(headerAt + 2, gsoBytes === 0 ? 0 : payloadAt - at, true);
    view.setUint16(headerAt + 4, gsoBytes, true);
    view.setUint16(headerAt + 6, transportAt - at, true);
    view.setUint16(headerAt + 8, TCP_CHECKSUM_OFFSET, true);
  }

  #write(network: SwitchNetwork, frames: number, bytes: number): void {
    if (!this.ends.writer.write(network.tap))
      return void count(network.counters, TAP_REFUSED, frames);
    count(network.counters, FRAMES_IN, frames);
    count(network.counters, BYTES_IN, bytes);
  }
}
