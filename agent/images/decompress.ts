// Archives may come compressed; what by, their first bytes say.
import { Readable } from "node:stream";
import * as zlib from "node:zlib";
import { Refused, refuse } from "../../common/fault.js";
import type { Chunks } from "./blobs.js";
import { broken } from "./tar.js";

export type Compression = "none" | "gzip" | "zstd" | "bzip2" | "xz";

const MAGIC: readonly (readonly [Compression, readonly number[]])[] = [
  ["gzip", [0x1f, 0x8b]],
  ["zstd", [0x28, 0xb5, 0x2f, 0xfd]],
  ["bzip2", [0x42, 0x5a, 0x68]],
  ["xz", [0xfd, 0x37, 0x7a, 0x58, 0x5a]],
];
const MAGIC_BYTES_MAX = 5;

/** The compression, and the whole stream, its beginning too. */
export async function sniff(
  source: Chunks,
): Promise<{ readonly compression: Compression; readonly whole: AsyncGenerator<Uint8Array> }> {
  const chunks = source[Symbol.asyncIterator]();
  let head = Buffer.alloc(0);
  while (head.length < MAGIC_BYTES_MAX) {
    const next = await chunks.next();
    if (next.done) break;
    head = Buffer.concat([head, next.value]);
  }
  const found = MAGIC.find(([, bytes]) => bytes.every((byte, i) => head[i] === byte));
  async function* whole() {
    try {
      if (head.length > 0) yield head;
      for (;;) {
        const next = await chunks.next();
        if (next.done) return;
        yield next.value;
      }
    } finally {
      await chunks.return?.();
    }
  }
  return { compression: found?.[0] ?? "none", whole: whole() };
}

/** As it was before it was compressed. */
export async function decompressed(source: Chunks): Promise<Chunks> {
  const { compression, whole } = await sniff(source);
  switch (compression) {
    case "none":
      return whole;
    case "gzip":
      return through(whole, zlib.createGunzip());
    case "zstd":
      if ("createZstdDecompress" in zlib) {
        return through(whole, (zlib.createZstdDecompress as () => zlib.Gunzip)());
      }
      throw unreadable("zstd", "this Node (22.15 can)");
    default:
      throw unreadable(compression, "Skein");
  }
}

export function unreadable(compression: Compression, reader: string): Refused {
  const sentence = `the archive is compressed with ${compression}, which ${reader} cannot read: decompress it first, or use gzip`;
  return new Refused(refuse("invalid-argument", sentence));
}

async function* through(source: Chunks, transform: zlib.Gunzip): AsyncGenerator<Uint8Array> {
  const input = Readable.from(source);
  // The input's own failure, if there is one, says more than that the compressed stream ended early.
  let failure: unknown;
  input.on("error", (error) => {
    failure = error;
    transform.destroy(error);
  });
  try {
    for await (const chunk of input.pipe(transform)) yield chunk as Buffer;
  } catch (error) {
    if (failure !== undefined || error instanceof Refused) throw failure ?? error;
    throw broken("what it is compressed to is damaged");
  } finally {
    input.destroy();
    transform.destroy();
  }
}
