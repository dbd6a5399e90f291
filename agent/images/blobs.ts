// containerd's content store: blobs by their digest, written whole or not at all. What is written belongs
// to a lease until a label of another blob, or a name, leads to it; else it is garbage.
import type { ServiceError } from "@grpc/grpc-js";
import { status } from "@grpc/grpc-js";
import { Fault } from "../../common/fault.js";
import {
  WriteAction,
  type WriteContentRequest,
  type WriteContentResponse,
} from "../../proto/gen/containerd/content.js";
import {
  alreadyExists,
  type Containerd,
  ContainerdFault,
  isNotFound,
} from "../containerd/connection.js";

// Choice: large enough that asking after each costs little, far below containerd's 16 MiB a message.
const CHUNK_BYTES = 1024 * 1024;

export type Chunks = AsyncIterable<Uint8Array>;

export interface NewBlob {
  /** Names the writing while it goes on; two writings of one name exclude each other. */
  readonly ref: string;
  /** Undefined: whatever it turns out to be. */
  readonly digest: string | undefined;
  /** Undefined: whatever it turns out to be. */
  readonly size: number | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly source: Chunks;
}

export class Blobs {
  constructor(private readonly containerd: Containerd) {}

  async sizeOf(digest: string): Promise<number | undefined> {
    const { content } = this.containerd;
    try {
      const found = await this.containerd.call(content.info.bind(content), { digest });
      return found.info?.size ?? 0;
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  /** The whole blob; undefined: it is not there. Longer ones than `bytesMax` are a Fault. */
  async read(digest: string, bytesMax: number): Promise<Buffer | undefined> {
    const chunks: Buffer[] = [];
    let length = 0;
    try {
      for await (const chunk of this.stream(digest)) {
        length += chunk.length;
        if (length > bytesMax) throw new Fault("BLOB_TOO_LONG", { digest, bytesMax });
        chunks.push(chunk);
      }
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
    return Buffer.concat(chunks, length);
  }

  async *stream(digest: string): AsyncGenerator<Buffer> {
    const { content } = this.containerd;
    const call = content.read({ digest, offset: 0, size: 0 }, this.containerd.metadata());
    try {
      for await (const { data } of call) yield data as Buffer;
    } catch (error) {
      throw this.containerd.faultOf(error as ServiceError);
    } finally {
      call.cancel();
    }
  }

  /** Resolves when it is committed, or was there already. Leaves nothing half-written. */
  async write(
    blob: NewBlob,
    lease: string,
    signal?: AbortSignal,
  ): Promise<{ readonly digest: string; readonly size: number }> {
    const { content } = this.containerd;
    const writer = new Writer(this.containerd, lease, signal);
    let done = false;
    try {
      const result = await this.#send(writer, blob, signal);
      done = true;
      return result;
    } catch (error) {
      if (alreadyExists(error) && blob.digest !== undefined) {
        // A commit that lost against another of the same bytes, or the bytes were there before.
        const size = (await this.sizeOf(blob.digest)) ?? 0;
        if (!writer.committing) await close(blob.source);
        return { digest: blob.digest, size };
      }
      throw error;
    } finally {
      writer.end(done);
      if (!done) {
        await this.containerd
          .call(content.abort.bind(content), { ref: blob.ref })
          .catch(() => undefined);
      }
    }
  }

  async #send(writer: Writer, blob: NewBlob, signal: AbortSignal | undefined) {
    const common = { ref: blob.ref, total: blob.size ?? 0, expected: blob.digest ?? "" };
    // What an earlier, interrupted writing left cannot be trusted to be of this source.
    const began = await writer.ask({ ...common, action: WriteAction.STAT });
    // All of it is there when another of containerd's namespaces has it: the bytes are shared.
    const shared = began.offset > 0 && began.offset === blob.size;
    if (began.offset > 0 && !shared) {
      throw new Fault("BLOB_BUSY", { ref: blob.ref, offset: began.offset });
    }
    let offset = 0;
    for await (const data of inChunks(blob.source)) {
      signal?.throwIfAborted();
      if (blob.size !== undefined && offset + data.length > blob.size) {
        throw new Fault("BLOB_TOO_LONG", { digest: blob.digest, size: blob.size });
      }
      if (!shared) await writer.ask({ ...common, action: WriteAction.WRITE, offset, data });
      offset += data.length;
    }
    if (blob.size !== undefined && offset !== blob.size) {
      throw new Fault("BLOB_TOO_SHORT", { digest: blob.digest, size: blob.size, got: offset });
    }
    writer.committing = true;
    const total = offset;
    const { digest } = await writer
      .ask({ ...common, action: WriteAction.COMMIT, offset, total, labels: { ...blob.labels } })
      .catch((error: unknown) => {
        // It says which in its sentence alone: "commit failed: content sha256:…: already exists".
        const known =
          alreadyExists(error) && /sha256:[0-9a-f]{64}/.exec((error as ContainerdFault).details);
        if (known) return { digest: known[0] };
        throw error;
      });
    return { digest: digest || (blob.digest ?? ""), size: offset };
  }

  /** Bytes that are at hand. */
  async put(
    bytes: Uint8Array,
    digest: string,
    labels: Readonly<Record<string, string>>,
    lease: string,
  ): Promise<void> {
    const source = (async function* () {
      yield bytes;
    })();
    await this.write(
      { ref: `put-${lease}-${digest}`, digest, size: bytes.length, labels, source },
      lease,
    );
    // It may have been there with other labels.
    await this.label(digest, labels);
  }

  async label(digest: string, labels: Readonly<Record<string, string>>): Promise<void> {
    const { content } = this.containerd;
    const paths = Object.keys(labels).map((key) => `labels.${key}`);
    if (paths.length === 0) return;
    const info = {
      digest,
      size: 0,
      createdAt: undefined,
      updatedAt: undefined,
      labels: { ...labels },
    };
    await this.containerd.call(content.update.bind(content), { info, updateMask: paths });
  }
}

/** One stream of Content.Write: a question at a time. */
class Writer {
  committing = false;
  readonly #call;
  #waiting:
    | { resolve(value: WriteContentResponse): void; reject(error: unknown): void }
    | undefined;
  #failed: unknown;
  readonly #unhook: () => void;

  constructor(
    private readonly containerd: Containerd,
    lease: string,
    signal: AbortSignal | undefined,
  ) {
    signal?.throwIfAborted();
    const onAbort = () => this.#call.cancel();
    signal?.addEventListener("abort", onAbort, { once: true });
    this.#unhook = () => signal?.removeEventListener("abort", onAbort);
    this.#call = containerd.content.write(containerd.metadata(lease));
    this.#call.on("data", (response: WriteContentResponse) => {
      this.#waiting?.resolve(response);
      this.#waiting = undefined;
    });
    this.#call.on("error", (error: ServiceError) =>
      this.#fail(signal?.aborted ? signal.reason : this.containerd.faultOf(error)),
    );
    this.#call.on("end", () =>
      this.#fail(new ContainerdFault(status.ABORTED, "the writing was ended", undefined)),
    );
  }

  ask(
    request: Partial<WriteContentRequest> & Pick<WriteContentRequest, "action" | "ref">,
  ): Promise<WriteContentResponse> {
    if (this.#failed !== undefined) return Promise.reject(this.#failed);
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      const empty = { total: 0, expected: "", offset: 0, data: Buffer.alloc(0), labels: {} };
      this.#call.write({ ...empty, ...request });
    });
  }

  end(orderly: boolean): void {
    this.#unhook();
    if (orderly) this.#call.end();
    else this.#call.cancel();
  }

  #fail(error: unknown): void {
    this.#failed ??= error;
    this.#waiting?.reject(this.#failed);
    this.#waiting = undefined;
  }
}

async function* inChunks(source: Chunks): AsyncGenerator<Buffer> {
  let parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of source) {
    for (let at = 0; at < part.length; at += CHUNK_BYTES) {
      const piece = part.subarray(at, at + CHUNK_BYTES);
      if (length + piece.length > CHUNK_BYTES) {
        yield Buffer.concat(parts, length);
        parts = [];
        length = 0;
      }
      parts.push(piece);
      length += piece.length;
    }
  }
  if (length > 0) yield Buffer.concat(parts, length);
}

async function close(source: Chunks): Promise<void> {
  await source[Symbol.asyncIterator]().return?.();
}
