// One other member: the connection to it, and what waits to go into it. Raft repeats what matters, so
// everything here may drop: when the queue is full, when the member cannot be reached.
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import type { Clock } from "../../common/clock.js";
import type { Timing } from "../../common/timing.js";
import { MessageKind, type RaftMember, RaftMessage, RaftRefusal } from "../../proto/gen/raft.js";
import { EMPTY_FRAME, encodeFrame, FrameReader, RAFT_PROTOCOL } from "./raft-frames.js";

/** Choice: more than Raft's own window of appends, so the limit is met only when the member stalls. */
const QUEUE_MESSAGES_MAX = 256;
const QUEUE_BYTES_MAX = 32 * 1024 * 1024;
/** Choice: a manager that comes back is to be found within a second. */
const BACKOFF_DOUBLINGS_MAX = 3;
/** Choice: with dialMs for the answer, a cut line is known within five seconds. */
const ASK_EVERY_MS = 1_000;
/** Choice: how long what was written may take to arrive when a connection is closed. */
const LINGER_MS = 5_000;

export interface RaftPeerOptions {
  readonly member: RaftMember;
  readonly connect: (member: RaftMember) => Socket;
  readonly clock: Clock;
  readonly timing: Pick<Timing, "retryMinMs" | "dialMs">;
  /** The connection broke, could not be made, or the member said why it takes no message. */
  readonly onEnded: (why: Error | RaftRefusal) => void;
}

interface Connection {
  readonly socket: Socket;
  isOpen: boolean;
  /** Since when something is waited for: to be connected, or an answer. */
  waitsSinceMs: number | undefined;
  askedMs: number;
}

export class RaftPeer {
  #connection: Connection | undefined;
  #queue: { readonly message: RaftMessage; readonly bytes: number }[] = [];
  #queuedBytes = 0;
  /** The connection took all it wants for now. */
  #blocked = false;
  #failures = 0;
  #retryAtMs = 0;

  constructor(private readonly options: RaftPeerOptions) {}

  get member(): RaftMember {
    return this.options.member;
  }

  send(message: RaftMessage): void {
    if (this.#connection === undefined && !this.#open()) return;
    this.#look();
    if (!this.#makeRoom()) return;
    const bytes = sizeOf(message);
    this.#queue.push({ message, bytes });
    this.#queuedBytes += bytes;
    this.#flush();
  }

  /** It was heard: whatever made it unreachable is over. */
  heard(): void {
    this.#failures = 0;
    this.#retryAtMs = 0;
  }

  /** Lets what was written arrive, then closes. A later `send` opens anew. */
  close(): void {
    const connection = this.#forget();
    if (connection === undefined) return;
    const { socket, isOpen } = connection;
    if (!isOpen) return void socket.destroy();
    socket.end();
    socket.setTimeout(LINGER_MS, () => socket.destroy());
  }

  /** Closes without waiting for anything. */
  abort(): void {
    this.#forget()?.socket.destroy();
  }

  #open(): boolean {
    const nowMs = this.options.clock.monotonicMs();
    if (nowMs < this.#retryAtMs) return false;
    let socket: Socket;
    try {
      socket = this.options.connect(this.member);
    } catch (error) {
      this.#failed(error instanceof Error ? error : new Error(String(error)));
      return false;
    }
    const connection: Connection = {
      socket,
      isOpen: false,
      waitsSinceMs: nowMs,
      askedMs: nowMs,
    };
    this.#connection = connection;
    // Until the other end is known to be a manager of this swarm, nothing is said to it.
    this.#blocked = true;
    let why: Error | RaftRefusal = new Error("the connection was closed");
    socket.on("error", (error) => {
      if (why instanceof Error) why = error;
    });
    socket.once("close", () => this.#ended(connection, why));
    socket.once(socket instanceof TLSSocket ? "secureConnect" : "connect", () => {
      if (socket instanceof TLSSocket && socket.alpnProtocol !== RAFT_PROTOCOL) {
        return void socket.destroy(new Error(`it does not speak ${RAFT_PROTOCOL}`));
      }
      this.#opened(connection);
    });
    socket.on("drain", () => this.#drained(connection));
    const reader = new FrameReader();
    const take = (content: Buffer) => {
      connection.waitsSinceMs = undefined;
      if (content.length > 0) why = decode(content) ?? why;
    };
    socket.on("data", (chunk: Buffer) => {
      if (!reader.read(chunk, take)) socket.destroy(new Error("what it answers is no frame"));
    });
    return true;
  }

  #opened(connection: Connection): void {
    connection.isOpen = true;
    connection.waitsSinceMs = undefined;
    this.#drained(connection);
  }

  #drained(connection: Connection): void {
    if (this.#connection !== connection || !connection.isOpen) return;
    this.#blocked = false;
    this.#flush();
  }

  #ended(connection: Connection, why: Error | RaftRefusal): void {
    if (this.#connection !== connection) return;
    this.#forget();
    this.#failed(why);
  }

  #failed(why: Error | RaftRefusal): void {
    const { clock, timing, onEnded } = this.options;
    const doublings = Math.min(this.#failures, BACKOFF_DOUBLINGS_MAX);
    this.#failures++;
    this.#retryAtMs = clock.monotonicMs() + timing.retryMinMs * 2 ** doublings;
    onEnded(why);
  }

  /** Whether the other end is there still. No timer: there is somebody to miss it only while there is something to send. */
  #look(): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    const { clock, timing } = this.options;
    const nowMs = clock.monotonicMs();
    const { socket, isOpen, waitsSinceMs, askedMs } = connection;
    if (waitsSinceMs !== undefined) {
      if (nowMs - waitsSinceMs < timing.dialMs) return;
      socket.destroy(new Error(isOpen ? "it does not answer" : "it cannot be connected to"));
    } else if (nowMs - askedMs >= ASK_EVERY_MS) {
      connection.askedMs = nowMs;
      connection.waitsSinceMs = nowMs;
      socket.write(EMPTY_FRAME);
    }
  }

  /** At the limit the oldest heartbeat goes, for a newer one says more; else there is no room. */
  #makeRoom(): boolean {
    if (this.#queue.length < QUEUE_MESSAGES_MAX && this.#queuedBytes < QUEUE_BYTES_MAX) return true;
    const oldest = this.#queue.findIndex(({ message }) => message.kind === MessageKind.HEARTBEAT);
    if (oldest < 0) return false;
    const [dropped] = this.#queue.splice(oldest, 1);
    this.#queuedBytes -= dropped?.bytes ?? 0;
    return this.#queuedBytes < QUEUE_BYTES_MAX;
  }

  #flush(): void {
    while (!this.#blocked && this.#connection !== undefined) {
      const next = this.#queue.shift();
      if (next === undefined) return;
      this.#queuedBytes -= next.bytes;
      const frame = encodeFrame(RaftMessage.encode(next.message).finish());
      this.#blocked = !this.#connection.socket.write(frame);
    }
  }

  #forget(): Connection | undefined {
    const connection = this.#connection;
    this.#connection = undefined;
    this.#queue = [];
    this.#queuedBytes = 0;
    this.#blocked = false;
    return connection;
  }
}

function decode(content: Buffer): RaftRefusal | undefined {
  try {
    return RaftRefusal.decode(content);
  } catch {
    return undefined;
  }
}

function sizeOf({ entries, chunk }: RaftMessage): number {
  const data = entries.reduce((sum, entry) => sum + entry.data.length, 0);
  return data + (chunk?.data.length ?? 0);
}
