// Carries Raft messages over the client stream Raft.Step: one channel and one stream to each member.
import type { ServiceError, status } from "@grpc/grpc-js";
import type { Clock } from "../../common/clock.js";
import type { Logger } from "../../common/log.js";
import type { Timing } from "../../common/timing.js";
import { Topic } from "../../common/watch.js";
import type { RaftClient, RaftMember, RaftMessage } from "../../proto/gen/raft.js";
import type { RaftTransport } from "../seams.js";
import { RaftPeer } from "./raft-peer.js";

export type { RaftStepOptions } from "./raft-step.js";
export { raftStepHandler } from "./raft-step.js";

export interface RaftTransportOptions {
  readonly clusterId: string;
  readonly selfRaftId: number;
  /**
   * A client for a member's address, with this manager's credentials; the transport closes it. The
   * channel must not share its subchannel (the back-off is ours) and must notice a cut line (keepalive).
   */
  readonly connect: (member: RaftMember) => RaftClient;
  readonly clock: Clock;
  readonly timing: Pick<Timing, "retryMinMs">;
  readonly log: Logger;
  /** A member ended our stream with this status: PERMISSION_DENIED tells a removed manager that it is one. */
  readonly onRefused?: (member: RaftMember, code: status, details: string) => void;
}

export interface GrpcRaftTransport extends RaftTransport {
  /** Hands an arrived message to the subscribers of `received`. */
  deliver(message: RaftMessage): void;
  /** Opens every channel anew, with the credentials that `connect` gives now. */
  reconnect(): void;
  close(): Promise<void>;
}

export function createRaftTransport(options: RaftTransportOptions): GrpcRaftTransport {
  return new StreamTransport(options);
}

class StreamTransport implements GrpcRaftTransport {
  readonly received = new Topic<RaftMessage>();
  readonly #peers = new Map<number, RaftPeer>();
  /** Members whose stream broke and who were not heard since. */
  readonly #lost = new Set<number>();
  #closed = false;

  constructor(private readonly options: RaftTransportOptions) {}

  setMembers(members: readonly RaftMember[]): void {
    if (this.#closed) return;
    const wanted = new Map(members.map((member) => [member.raftId, member]));
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
    this.#peers.get(message.to)?.send({ ...message, clusterId: this.options.clusterId });
  }

  deliver(message: RaftMessage): void {
    if (this.#closed) return;
    this.#peers.get(message.from)?.heard();
    if (this.#lost.delete(message.from)) {
      this.options.log.info({ peer: message.from }, "manager is heard again");
    }
    this.received.publish(message);
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
      retryMinMs: timing.retryMinMs,
      onEnded: (_, error) => this.#ended(member, error),
    });
  }

  #ended(member: RaftMember, error: ServiceError | Error | null): void {
    if (this.#closed || error === null) return;
    const { raftId, nodeId, addr } = member;
    // Said once; attempts go on every second or so until it is heard again.
    const level = this.#lost.has(raftId) ? "debug" : "warn";
    this.#lost.add(raftId);
    const err = "details" in error ? error.details : error.message;
    this.options.log[level]({ peer: raftId, node: nodeId, addr, err }, "manager is out of reach");
    if ("code" in error) this.options.onRefused?.(member, error.code, error.details);
  }
}
