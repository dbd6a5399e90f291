// The listening end of a Raft connection: whose messages are let in.
import type { Socket } from "node:net";
import { status } from "@grpc/grpc-js";
import { RaftMessage, RaftRefusal } from "../../proto/gen/raft.js";
import { EMPTY_FRAME, encodeFrame, FrameReader, KEEPALIVE_MS } from "./raft-frames.js";

/** Choice: how long who is refused may take to read why, and to hang up. */
const LINGER_MS = 1_000;

export interface RaftReceiverOptions {
  readonly clusterId: string;
  readonly deliver: (message: RaftMessage) => void;
  /**
   * Whether the caller's certificate belongs to the member that the messages say they are from. Asked
   * for the first message of a connection, again when `from` changes, and for every one of a sender that
   * has no seat: it may have lost it while the connection was open. A string is why not: the connection ends
   * with PERMISSION_DENIED and that sentence.
   */
  readonly authorize: (fromRaftId: number) => true | string;
  /** Cheap: asked for every message. */
  readonly hasSeat: (raftId: number) => boolean;
}

/** Owns the socket from here on. */
export function receiveRaft(socket: Socket, options: RaftReceiverOptions): void {
  const reader = new FrameReader();
  let authorized: number | undefined;
  let over = false;
  const refuse = (details: string) => {
    over = true;
    refuseRaft(socket, { code: status.PERMISSION_DENIED, details });
  };
  const take = (content: Buffer) => {
    if (over) return;
    if (content.length === 0) return void socket.write(EMPTY_FRAME);
    const message = decode(content);
    if (message === undefined) {
      over = true;
      return void socket.destroy();
    }
    if (message.clusterId !== options.clusterId) {
      return refuse("This is another swarm's manager.");
    }
    if (message.from !== authorized || !options.hasSeat(message.from)) {
      const verdict = options.authorize(message.from);
      if (verdict !== true) return refuse(verdict);
      authorized = message.from;
    }
    options.deliver(message);
  };
  socket.setNoDelay(true);
  socket.setKeepAlive(true, KEEPALIVE_MS);
  socket.on("error", () => {});
  socket.on("data", (chunk: Buffer) => {
    // Who was refused goes on sending until it has read that: it is read, and thrown away.
    if (!over && !reader.read(chunk, take)) socket.destroy();
  });
}

/** Says why, and ends the connection: also one whose messages nobody has looked at. */
export function refuseRaft(socket: Socket, refusal: RaftRefusal): void {
  socket.on("error", () => {});
  socket.end(encodeFrame(RaftRefusal.encode(refusal).finish()));
  socket.resume();
  // Closed while the other end still sends, the connection would be reset, and the reason lost.
  const late = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once("close", () => clearTimeout(late));
}

function decode(content: Buffer): RaftMessage | undefined {
  try {
    return RaftMessage.decode(content);
  } catch {
    return undefined;
  }
}
