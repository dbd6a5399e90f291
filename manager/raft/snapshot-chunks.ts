// A snapshot on its way from a leader to a member: cut into chunks there, put together here. Each chunk has a
// checksum, and the digest of the whole says which snapshot it is part of: two leaders may have encoded the same
// state differently, and what is put together of both would be neither.
import { createHash } from "node:crypto";
import { crc32c } from "../../common/crc32c.js";
import { assert } from "../../common/fault.js";
import type { RaftSnapshot, SnapshotChunk } from "../../proto/gen/raft.js";
import { CHUNK_BYTES_MAX, SNAPSHOT_BYTES_MAX } from "./limits.js";

/** A snapshot with the digest that its chunks carry. */
export interface OutgoingSnapshot extends RaftSnapshot {
  readonly sha256: Buffer;
}

export function outgoing(snapshot: RaftSnapshot): OutgoingSnapshot {
  return { ...snapshot, sha256: createHash("sha256").update(snapshot.data).digest() };
}

export function chunkAt(snapshot: OutgoingSnapshot, offset: number): SnapshotChunk {
  assert(offset <= snapshot.data.length, "a chunk lies inside its snapshot");
  const data = snapshot.data.subarray(offset, offset + CHUNK_BYTES_MAX);
  return {
    meta: snapshot.meta,
    offset,
    total: snapshot.data.length,
    data,
    crc32c: crc32c(data),
    last: offset + data.length === snapshot.data.length,
    sha256: snapshot.sha256,
  };
}

export type Received =
  | { readonly kind: "more"; readonly nextOffset: number }
  | { readonly kind: "whole"; readonly snapshot: RaftSnapshot }
  | { readonly kind: "bad" };

const NO_DIGEST = Buffer.alloc(0);

/** The snapshot that is arriving. At most one; another one takes its place. */
export class SnapshotAssembly {
  #sha256: Buffer = NO_DIGEST;
  #digest = createHash("sha256");
  #bytes = 0;
  #parts: Buffer[] = [];

  receive(chunk: SnapshotChunk): Received {
    const { meta, sha256 } = chunk;
    if (meta === undefined || chunk.total > SNAPSHOT_BYTES_MAX) return { kind: "bad" };
    if (sha256.length !== 32 || crc32c(chunk.data) !== chunk.crc32c) return { kind: "bad" };
    // Of these there would be no end; what they pile up counts nothing against the size of the whole.
    if (chunk.data.length === 0 && !chunk.last) return { kind: "bad" };
    if (!sha256.equals(this.#sha256)) this.#begin(sha256);
    // A repeated or early chunk: say again what is missing. So a transfer goes on where it was broken off.
    if (chunk.offset !== this.#bytes) return { kind: "more", nextOffset: this.#bytes };
    if (this.#bytes + chunk.data.length > chunk.total) return { kind: "bad" };
    this.#parts.push(chunk.data);
    this.#bytes += chunk.data.length;
    this.#digest.update(chunk.data);
    if (!chunk.last) return { kind: "more", nextOffset: this.#bytes };
    const isWhole = this.#bytes === chunk.total && this.#digest.digest().equals(sha256);
    const data = Buffer.concat(this.#parts);
    this.clear();
    return isWhole ? { kind: "whole", snapshot: { meta, data } } : { kind: "more", nextOffset: 0 };
  }

  clear(): void {
    this.#begin(NO_DIGEST);
  }

  #begin(sha256: Buffer): void {
    this.#sha256 = sha256;
    this.#digest = createHash("sha256");
    this.#bytes = 0;
    this.#parts = [];
  }
}
