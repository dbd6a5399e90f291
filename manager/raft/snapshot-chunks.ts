// A snapshot on its way from a leader to a member: cut into chunks there, put together here.

import { crc32c } from "../../common/crc32c.js";
import { assert } from "../../common/fault.js";
import type { RaftSnapshot, SnapshotChunk } from "../../proto/gen/raft.js";
import { CHUNK_BYTES_MAX, SNAPSHOT_BYTES_MAX } from "./limits.js";

export function chunkAt(snapshot: RaftSnapshot, offset: number): SnapshotChunk {
  assert(offset <= snapshot.data.length, "a chunk lies inside its snapshot");
  const data = snapshot.data.subarray(offset, offset + CHUNK_BYTES_MAX);
  return {
    meta: snapshot.meta,
    offset,
    total: snapshot.data.length,
    data,
    crc32c: crc32c(data),
    last: offset + data.length === snapshot.data.length,
  };
}

export type Received =
  | { readonly kind: "more"; readonly nextOffset: number }
  | { readonly kind: "whole"; readonly snapshot: RaftSnapshot }
  | { readonly kind: "bad" };

/** The snapshot that is arriving. At most one; a newer one takes its place. */
export class SnapshotAssembly {
  #index = 0;
  #term = 0;
  #bytes = 0;
  #parts: Buffer[] = [];

  receive(chunk: SnapshotChunk): Received {
    const { meta } = chunk;
    if (meta === undefined || chunk.total > SNAPSHOT_BYTES_MAX) return { kind: "bad" };
    if (crc32c(chunk.data) !== chunk.crc32c) return { kind: "bad" };
    if (chunk.offset === 0 || meta.index !== this.#index || meta.term !== this.#term) {
      this.#begin(meta.index, meta.term);
    }
    // A repeated or early chunk: say again what is missing.
    if (chunk.offset !== this.#bytes) return { kind: "more", nextOffset: this.#bytes };
    if (this.#bytes + chunk.data.length > chunk.total) return { kind: "bad" };
    this.#parts.push(chunk.data);
    this.#bytes += chunk.data.length;
    if (!chunk.last) return { kind: "more", nextOffset: this.#bytes };
    if (this.#bytes !== chunk.total) return { kind: "bad" };
    const data = Buffer.concat(this.#parts);
    this.clear();
    return { kind: "whole", snapshot: { meta, data } };
  }

  clear(): void {
    this.#begin(0, 0);
  }

  #begin(index: number, term: number): void {
    this.#index = index;
    this.#term = term;
    this.#bytes = 0;
    this.#parts = [];
  }
}
