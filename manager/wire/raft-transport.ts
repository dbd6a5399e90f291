// Carries Raft messages: one connection to each member for what is sent to it.
import type { Socket } from "node:net";
import { isDialable } from "../../common/address.js";
import type { Clock } from "../../common/clock.js";
import type { Logger } from "../../common/log.js";
import type { Timing } from "../../common/timing.js";
import { Topic } from "../../common/watch.js";
import type { RaftMember, RaftMessage, RaftRefusal } from "../../proto/gen/raft.js";
import type { RaftTransport } from "../seams.js";
import { PeerAddresses } from "./peer-addresses.js";
import { RaftPeer } from "./raft-peer.js";

export interface RaftTransportOptions {
  readonly clusterId: string;
  readonly selfRaftId: number;
  /** Where this manager is reached. */
  readonly selfAddr: string;
  /**
   * Begins to connect to a member's address, with this manager's certificate if by TLS; the transport closes
   * what it answers.
   */
  readonly connect: (member: RaftMember) => Socket;
  readonly clock: Clock;
  readonly timing: Pick<Timing, "retryMinMs" | "dialMs">;
  readonly log: Logger;
  /** Where members are reached that are not where the log says. */
  readonly addresses?: PeerAddresses;
  /** `addresses` is another now. */
  readonly onAddresses?: () => void;
  /** A member takes no message of ours: PERMISSION_DENIED tells a removed manager that it is one. */
  readonly onRefused?: (member: RaftMember, refusal: RaftRefusal) => void;
}

export interface WireRaftTransport extends RaftTransport {
  /** Hands an arrived message to the subscribers of `received`. */
  deliver(message: RaftMessage): void;
  /** Opens every connection anew, with the certificate that `connect` shows now. */
  reconnect(): void;
  /** Where members are reached that are not where the log says, by raft id. */
  readonly believed: ReadonlyMap<number, string>;
  /** Members whose stream broke and who were not heard since, by raft id: what was said of it. */
  readonly lost: ReadonlyMap<number, string>;
  /** Where the member is reached from now on, as a person says; until the log says otherwise. */
  dial(raftId: number, addr: string): void;
  close(): Promise<void>;
}

export function createRaftTransport(options: RaftTransportOptions): WireRaftTransport {
  return new SocketTransport(options);
}

// Choice: twice as many as there may be members (loops/membership.ts).
const PEERS_MAX = 14;

class SocketTransport implements WireRaftTransport {
  readonly received = new Topic<RaftMessage>();
  readonly #peers = new Map<number, RaftPeer>();
  /** Members whose connection broke and who were not heard since; why. */
  readonly #lost = new Map<number, string>();
  #closed = false;
  readonly #addresses: PeerAddresses;
  #members: readonly RaftMember[] = [];

  constructor(private readonly options: RaftTransportOptions) {
    this.#addresses = options.addresses ?? new PeerAddresses(new Map());
  }

  setMembers(members: readonly RaftMember[]): void {
    if (this.#closed) return;
    this.#members = members;
    if (this.#addresses.setLogged(members)) this.options.onAddresses?.();
    this.#dialAll();
  }

  get believed(): ReadonlyMap<number, string> {
    return this.#addresses.believed;
  }

  get lost(): ReadonlyMap<number, string> {
    return this.#lost;
  }

  dial(raftId: number, addr: string): void {
    if (this.#addresses.dial(raftId, addr)) this.#redial();
  }

  #redial(): void {
    this.#dialAll();
    this.options.onAddresses?.();
  }

  #dialAll(): void {
    const wanted = new Map(
      this.#members.map((member) => [
        member.raftId,
        { ...member, addr: this.#addresses.addrOf(member) },
      ]),
    );
    for (const [raftId, peer] of this.#peers) {
      if (wanted.get(raftId)?.addr === peer.member.addr) continue;
      this.#peers.delete(raftId);
      peer.close();
    }
    for (const [raftId, member] of wanted) {
      if (raftId === this.options.selfRaftId || this.#peers.has(raftId)) continue;
      this.#peers.set(raftId, this.#peer(member));
    }
  }

  send(message: RaftMessage): void {
    const { clusterId, selfAddr } = this.options;
    this.#peers.get(message.to)?.send({ ...message, clusterId, fromAddr: selfAddr });
  }

  deliver(message: RaftMessage): void {
    if (this.#closed) return;
    this.#meet(message);
    const { from, fromAddr } = message;
    if (from !== this.options.selfRaftId && fromAddr !== "") {
      if (this.#addresses.claimed(from, fromAddr, this.#lost.has(from))) {
        this.options.log.info({ peer: from, addr: fromAddr }, "manager has another address");
        this.#redial();
      }
    }
    this.#peers.get(message.from)?.heard();
    if (this.#lost.delete(message.from)) {
      this.options.log.info({ peer: message.from }, "manager is heard again");
    }
    this.received.publish(message);
  }

  /** One that was let in and is no member here: until its being one is in the log, it is answered by its own word. */
  #meet({ from, fromAddr }: RaftMessage): void {
    if (from === this.options.selfRaftId || !isDialable(fromAddr)) return;
    if (this.#peers.has(from) || this.#peers.size >= PEERS_MAX) return;
    const peer = this.#peer({ raftId: from, nodeId: "", addr: fromAddr, learner: false });
    this.#peers.set(from, peer);
  }

  reconnect(): void {
    for (const peer of this.#peers.values()) peer.close();
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const peer of this.#peers.values()) peer.abort();
    this.#peers.clear();
  }

  #peer(member: RaftMember): RaftPeer {
    const { connect, clock, timing } = this.options;
    return new RaftPeer({
      member,
      connect,
      clock,
      timing,
      onEnded: (end) => this.#ended(member, end),
    });
  }

  #ended(member: RaftMember, end: Error | RaftRefusal): void {
    if (this.#closed) return;
    const { raftId, nodeId, addr } = member;
    // Said once; attempts go on every second or so until it is heard again.
    const level = this.#lost.has(raftId) ? "debug" : "warn";
    const err = end instanceof Error ? end.message : end.details;
    this.#lost.set(raftId, err);
    this.options.log[level]({ peer: raftId, node: nodeId, addr, err }, "manager is out of reach");
    if (!(end instanceof Error)) this.options.onRefused?.(member, end);
  }
}
