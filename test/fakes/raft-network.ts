// RaftTransports that share a network in memory: messages arrive in a later microtask, unless the two
// ends are cut off from each other. Every message goes through the wire format.
import { Topic } from "../../common/watch.js";
import type { RaftTransport } from "../../manager/seams.js";
import { type RaftMember, RaftMessage } from "../../proto/gen/raft.js";

export class RaftNetwork {
  readonly #ends = new Map<number, NetworkEnd>();
  readonly #cut = new Set<number>();
  sent = 0;
  /** Answers whether a message may pass. */
  allow: (message: RaftMessage) => boolean = () => true;

  attach(raftId: number): NetworkEnd {
    const end = new NetworkEnd(this);
    this.#ends.set(raftId, end);
    return end;
  }

  detach(raftId: number): void {
    this.#ends.delete(raftId);
  }

  isolate(raftId: number): void {
    this.#cut.add(raftId);
  }

  heal(): void {
    this.#cut.clear();
  }

  carry(message: RaftMessage): void {
    this.sent++;
    if (this.#cut.has(message.from) || this.#cut.has(message.to) || !this.allow(message)) return;
    const bytes = RaftMessage.encode(message).finish();
    queueMicrotask(() => this.#ends.get(message.to)?.received.publish(RaftMessage.decode(bytes)));
  }
}

export class NetworkEnd implements RaftTransport {
  readonly received = new Topic<RaftMessage>();
  members: readonly RaftMember[] = [];

  constructor(private readonly network: RaftNetwork) {}

  setMembers(members: readonly RaftMember[]): void {
    this.members = members;
  }

  send(message: RaftMessage): void {
    const known = this.members.some((member) => member.raftId === message.to);
    if (known) this.network.carry(message);
  }
}
