// Carries Raft messages over the client stream Raft.Step: one channel and one stream to each member.
import type { handleClientStreamingCall, ServerReadableStream, status } from "@grpc/grpc-js";
import type { Clock } from "../../common/clock.js";
import type { Logger } from "../../common/log.js";
import type { Timing } from "../../common/timing.js";
import type { RaftAck, RaftClient, RaftMember, RaftMessage } from "../../proto/gen/raft.js";
import type { RaftTransport } from "../seams.js";

export interface RaftTransportOptions {
  readonly clusterId: string;
  readonly selfRaftId: number;
  /** A client for a member's address, with this manager's credentials. The transport closes it. */
  readonly connect: (member: RaftMember) => RaftClient;
  readonly clock: Clock;
  readonly timing: Pick<Timing, "retryMinMs" | "retryMaxMs">;
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

export interface RaftStepOptions {
  readonly clusterId: string;
  readonly deliver: (message: RaftMessage) => void;
  /**
   * Whether the caller's certificate belongs to the member that the messages say they are from. Asked
   * for the first message of a stream and again when `from` changes. A string is why not: the stream
   * ends with PERMISSION_DENIED and that sentence.
   */
  readonly authorize: (
    call: ServerReadableStream<RaftMessage, RaftAck>,
    fromRaftId: number,
  ) => true | string;
}

export function createRaftTransport(_options: RaftTransportOptions): GrpcRaftTransport {
  throw new Error("unimplemented");
}

/** The server's side of Raft.Step. */
export function raftStepHandler(
  _options: RaftStepOptions,
): handleClientStreamingCall<RaftMessage, RaftAck> {
  throw new Error("unimplemented");
}
