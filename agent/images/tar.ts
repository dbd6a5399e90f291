// Archives as they come, entry by entry, in bounded memory. tar-stream reads and writes the format; here is
// what it leaves to its callers: limits, words for what is wrong, and the numbers that its headers cut.
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { extract, type Headers, type Pack, pack } from "tar-stream";
import { Refused, refuse } from "../../common/fault.js";
import type { Chunks } from "./blobs.js";

export interface TarEntry {
  readonly name: string;
  readonly type: "file" | "folder" | "symlink" | "link";
  readonly size: number;
  readonly linkName: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeSeconds: number;
  /** What is not read of it is skipped. */
  readonly data: AsyncGenerator<Buffer>;
}

// Choices. An archive of images has a few entries for each layer; no path of it is longer than a page.
const ENTRIES_MAX = 100_000;
const NAME_BYTES_MAX = 4_096;
// Choice: pax records hold a file's extended attributes too, of 64 KiB at the most for each kind
// (include/uapi/linux/limits.h, XATTR_LIST_MAX).
const HEADERS_BYTES_MAX = 1024 * 1024;
// Choice: large enough to be quick, small beside the limit above.
const PIECE_BYTES = 64 * 1024;

/** Throws Refused for what is no tar archive, or ends too early. Devices, pipes and others are left out. */
export async function* tarEntries(source: Chunks): AsyncGenerator<TarEntry> {
  const archive = extract({ allowUnknownFormat: true });
  const feed = new Feed(source);
  const fed = pipeline(feed.pieces(), archive);
  fed.catch(() => undefined);
  let count = 0;
  try {
    for await (const one of archive) {
      feed.progress();
      if (++count > ENTRIES_MAX) throw broken(`it has more than ${ENTRIES_MAX} entries`);
      const entry = checked(one.header);
      // By hand: to leave a loop over it would end the whole archive.
      const chunks = one[Symbol.asyncIterator]();
      if (entry !== undefined) yield { ...entry, data: dataOf(chunks, feed) };
      while (!(await chunks.next()).done) feed.progress();
    }
    await fed;
  } catch (error) {
    throw feed.failure ?? worded(error, count);
  } finally {
    archive.destroy();
    await fed.catch(() => undefined);
  }
  if (feed.isEmpty) throw broken("it is empty");
}

/** The source in pieces; it stops one whose headers grow and grow, which tar-stream would all keep. */
class Feed {
  isEmpty = true;
  /** What the source itself failed with. */
  failure: unknown;
  #bytesSinceProgress = 0;

  constructor(private readonly source: Chunks) {}

  progress(): void {
    this.#bytesSinceProgress = 0;
  }

  async *pieces(): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of this.source) {
        for (let at = 0; at < chunk.length; at += PIECE_BYTES) {
          const piece = chunk.subarray(at, at + PIECE_BYTES);
          this.isEmpty = false;
          // Zeros may fill up the end of an archive, as many as its writer likes.
          if (piece.some((byte) => byte !== 0)) this.#bytesSinceProgress += piece.length;
          if (this.#bytesSinceProgress > HEADERS_BYTES_MAX) throw nameTooLong();
          yield piece;
        }
      }
    } catch (error) {
      this.failure = error;
      throw error;
    }
  }
}

async function* dataOf(chunks: AsyncIterator<Buffer>, feed: Feed): AsyncGenerator<Buffer> {
  for (;;) {
    const next = await chunks.next().catch((error: unknown) => {
      throw feed.failure ?? worded(error, 1);
    });
    if (next.done) return;
    feed.progress();
    yield next.value;
  }
}

const TYPES: Readonly<Partial<Record<string, TarEntry["type"]>>> = {
  file: "file",
  "contiguous-file": "file",
  directory: "folder",
  symlink: "symlink",
  link: "link",
};

/** undefined: it is of a kind that is left out. */
function checked(header: Headers & Pax): Omit<TarEntry, "data"> | undefined {
  const { name, size = 0, pax } = header;
  const linkName = header.linkname ?? "";
  if (!Number.isSafeInteger(size) || size < 0) throw broken("a size is damaged");
  if (Math.max(Buffer.byteLength(name), Buffer.byteLength(linkName)) > NAME_BYTES_MAX) {
    throw nameTooLong();
  }
  const type = TYPES[header.type ?? ""];
  if (type === undefined) return undefined;
  const number = (field: number | undefined, record: string | undefined) => {
    const value = record === undefined ? (field ?? 0) : Math.floor(Number(record));
    return Number.isSafeInteger(value) ? value : 0;
  };
  return {
    ...{ name, type, size, linkName, mode: number(header.mode, undefined) },
    uid: number(header.uid, pax?.["uid"]),
    gid: number(header.gid, pax?.["gid"]),
    mtimeSeconds: number(header.mtime && header.mtime.getTime() / 1000, pax?.["mtime"]),
  };
}

/** What tar-stream has and its types do not: an entry's pax records ("pax Header Block", POSIX.1-2001). */
interface Pax {
  readonly pax?: Readonly<Record<string, string>> | null;
}

/** tar-stream knows two failures: a checksum that is wrong, and an end that is none. */
function worded(error: unknown, entries: number): Refused {
  if (error instanceof Refused) return error;
  const message = error instanceof Error ? error.message : "";
  if (!message.startsWith("Invalid tar header")) return broken("it ends too early");
  return broken(entries === 0 ? "it is no tar archive" : "a header is damaged");
}

export function broken(why: string): Refused {
  return new Refused(refuse("invalid-argument", `the archive cannot be read: ${why}`));
}

function nameTooLong(): Refused {
  return broken(`a name is longer than ${NAME_BYTES_MAX} bytes`);
}

// ---- Writing -----------------------------------------------------------------------------------

export interface TarFile {
  readonly name: string;
  readonly type: NonNullable<Headers["type"]>;
  readonly linkName?: string;
  readonly size: number;
  /** With the bits of the kind (S_IFMT): tar-stream takes a bare 0 for "unknown". */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeSeconds: number;
  readonly device?: { readonly major: number; readonly minor: number };
  /** Of a file: `size` bytes, no more and no less. */
  readonly data?: Chunks;
}

/** An archive; its files are asked for one by one, as the archive is read. */
export async function* tarOf(files: AsyncIterable<TarFile>): AsyncGenerator<Uint8Array> {
  const archive = pack();
  // A failure of the files' is the archive's: it is thrown where that is read.
  const packed = add(archive, files).then(
    () => archive.finalize(),
    (error: unknown) =>
      archive.destroy(error instanceof Error ? error : new Error("files", { cause: error })),
  );
  try {
    yield* archive as Readable & AsyncIterable<Buffer>;
  } finally {
    archive.destroy();
    await packed;
  }
}

async function add(archive: Pack, files: AsyncIterable<TarFile>): Promise<void> {
  for await (const file of files) {
    const header = headerOf(file);
    if (file.data !== undefined) await pipeline(file.data, archive.entry(header));
    else {
      await new Promise<void>((resolve, reject) => {
        archive.entry(header, (error) => (error ? reject(error) : resolve()));
      });
    }
  }
}

// tar-stream's header has six octal digits for an owner, and 31 bits of seconds.
const OWNER_MAX = 0o777777;
const SECONDS_MAX = 2 ** 31 - 1;

function headerOf(file: TarFile): Headers {
  const { name, type, size, mode, uid, gid, mtimeSeconds, device } = file;
  const pax: Record<string, string> = {};
  if (uid > OWNER_MAX) pax["uid"] = String(uid);
  if (gid > OWNER_MAX) pax["gid"] = String(gid);
  if (mtimeSeconds > SECONDS_MAX) pax["mtime"] = String(mtimeSeconds);
  const header: Headers & Pax = {
    ...{ name, type, size, mode, uid, gid },
    mtime: new Date(Math.min(mtimeSeconds, SECONDS_MAX) * 1000),
    ...(file.linkName !== undefined && { linkname: file.linkName }),
    ...(device && { devmajor: device.major, devminor: device.minor }),
    ...(Object.keys(pax).length > 0 && { pax }),
  };
  return header;
}
