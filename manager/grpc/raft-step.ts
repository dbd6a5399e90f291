// The server's side of Raft.Step: whose messages are let in.
import {
  type handleClientStreamingCall,
  type ServerReadableStream,
  type ServiceError,
  status,
} from "@grpc/grpc-js";
import type { RaftAck, RaftMessage } from "../../proto/gen/raft.js";

export interface RaftStepOptions {
  readonly clusterId: string;
  readonly deliver: (message: RaftMessage) => void;
  /**
   * Whether the caller's certificate belongs to the member that the messages say they are from. Asked
   * for the first message of a stream, again when `from` changes, and for every one of a sender that has
   * no seat: it may have lost it while the stream was open. A string is why not: the stream ends with
   * PERMISSION_DENIED and that sentence.
   */
  readonly authorize: (
    call: ServerReadableStream<RaftMessage, RaftAck>,
    fromRaftId: number,
  ) => true | string;
  /** Cheap: asked for every message. */
  readonly hasSeat: (raftId: number) => boolean;
}

export function raftStepHandler(
  options: RaftStepOptions,
): handleClientStreamingCall<RaftMessage, RaftAck> {
  return (call, answer) => {
    let authorized: number | undefined;
    let over = false;
    const end = (error: Partial<ServiceError> | null) => {
      if (over) return;
      over = true;
      if (error === null) answer(null, {});
      else answer(error);
    };
    call.on("data", (message: RaftMessage) => {
      if (over) return;
      if (message.clusterId !== options.clusterId) {
        return end({ code: status.PERMISSION_DENIED, details: "This is another swarm's manager." });
      }
      if (message.from !== authorized || !options.hasSeat(message.from)) {
        const verdict = options.authorize(call, message.from);
        if (verdict !== true) return end({ code: status.PERMISSION_DENIED, details: verdict });
        authorized = message.from;
      }
      options.deliver(message);
    });
    call.on("end", () => end(null));
    call.on("cancelled", () => end({ code: status.CANCELLED, details: "cancelled" }));
    call.on("error", () => end({ code: status.CANCELLED, details: "the stream broke" }));
  };
}
