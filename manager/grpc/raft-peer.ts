// One other member: its channel, its stream, and what waits to go into it. Raft repeats what matters, so
// everything here may drop: when the queue is full, when the member cannot be reached.
import type { ClientWritableStream, ServiceError } from "@grpc/grpc-js";
import type { Clock } from "../../common/clock.js";
import {
  MessageKind,
  type RaftClient,
  type RaftMember,
  type RaftMessage,
} from "../../proto/gen/raft.js";

/** Choice: more than Raft's own window of appends, so the limit is met only when the member stalls. */
const QUEUE_MESSAGES_MAX = 256;
const QUEUE_BYTES_MAX = 32 * 1024 * 1024;
/** Choice: a manager that comes back is to be found within a second. */
const BACKOFF_DOUBLINGS_MAX = 3;

export interface RaftPeerOptions {
  readonly member: RaftMember;
  readonly connect: (member: RaftMember) => RaftClient;
  readonly clock: Clock;
  readonly retryMinMs: number;
  readonly onEnded: (member: RaftMember, error: ServiceError | Error | null) => void;
}

interface Stream {
  readonly client: RaftClient;
  readonly call: ClientWritableStream<RaftMessage>;
}

export class RaftPeer {
  #stream: Stream | undefined;
  #queue: { readonly message: RaftMessage; readonly bytes: number }[] = [];
  #queuedBytes = 0;
  /** The stream took all it wants for now. */
  #blocked = false;
  #failures = 0;
  #retryAtMs = 0;

  constructor(private readonly options: RaftPeerOptions) {}

  get member(): RaftMember {
    return this.options.member;
  }

  send(message: RaftMessage): void {
    if (this.#stream === undefined && !this.#open()) return;
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
    const stream = this.#stream;
    if (stream === undefined) return;
    this.#stream = undefined;
    this.#clear();
    stream.call.end();
    // Closing a channel lets its calls finish; the server ends this one when it has read it.
    stream.client.close();
  }

  /** Closes without waiting for anything. */
  abort(): void {
    const stream = this.#stream;
    this.close();
    stream?.call.cancel();
  }

  #open(): boolean {
    if (this.options.clock.monotonicMs() < this.#retryAtMs) return false;
    try {
      const client = this.options.connect(this.member);
      const call = client.step((error) => this.#ended(stream, error));
      const stream = { client, call };
      this.#stream = stream;
      call.on("drain", () => {
        if (this.#stream !== stream) return;
        this.#blocked = false;
        this.#flush();
      });
      // What goes wrong is told to the callback above; an event that nobody hears would end the process.
      call.on("error", () => {});
      return true;
    } catch (error) {
      this.#failed(error instanceof Error ? error : new Error(String(error)));
      return false;
    }
  }

  #ended(stream: Stream, error: ServiceError | null): void {
    if (this.#stream !== stream) return;
    this.#stream = undefined;
    this.#clear();
    stream.client.close();
    this.#failed(error);
  }

  #failed(error: ServiceError | Error | null): void {
    const { clock, retryMinMs, onEnded, member } = this.options;
    const doublings = Math.min(this.#failures, BACKOFF_DOUBLINGS_MAX);
    this.#failures++;
    this.#retryAtMs = clock.monotonicMs() + retryMinMs * 2 ** doublings;
    onEnded(member, error);
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
    while (!this.#blocked && this.#stream !== undefined) {
      const next = this.#queue.shift();
      if (next === undefined) return;
      this.#queuedBytes -= next.bytes;
      this.#blocked = !this.#stream.call.write(next.message);
    }
  }

  #clear(): void {
    this.#queue = [];
    this.#queuedBytes = 0;
    this.#blocked = false;
  }
}

function sizeOf({ entries, chunk }: RaftMessage): number {
  const data = entries.reduce((sum, entry) => sum + entry.data.length, 0);
  return data + (chunk?.data.length ?? 0);
}
