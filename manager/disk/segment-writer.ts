// The segment that is being written. Its file is opened with O_DSYNC (open(2)): a write that returns is
// durable, in one system call where write and fdatasync would be two trips to the thread pool.
import { randomBytes } from "node:crypto";
import { constants, writeSync } from "node:fs";
import { type FileHandle, open, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { syncFolder } from "../../common/durable-files.js";
import type { LogFrame } from "../../proto/gen/raft.js";
import { FileCipher, SALT_BYTES } from "./cipher.js";
import { encodeFrame, encodeSegmentHeader, SEGMENT_PURPOSE } from "./segment-format.js";

/** Writes all of `data` at `position`. Tests put a disk that fails in its place. */
export type WriteAt = (file: FileHandle, data: Uint8Array, position: number) => Promise<void>;

export const writeAll: WriteAt = async (file, data, position) => {
  for (let done = 0; done < data.length; ) {
    const { bytesWritten } = await file.write(data, done, data.length - done, position + done);
    done += bytesWritten;
  }
};

/** The same, while the process waits: without the way to a thread of libuv's pool, and back to the event loop. */
export const writeAllAtOnce: WriteAt = async (file, data, position) => {
  for (let done = 0; done < data.length; ) {
    done += writeSync(file.fd, data, done, data.length - done, position + done);
  }
};

export class SegmentWriter {
  #number = 1;

  private constructor(
    readonly path: string,
    private readonly file: FileHandle,
    private readonly cipher: FileCipher,
    private size: number,
  ) {}

  get bytes(): number {
    return this.size;
  }

  /** Makes the file with its first frame in it. When that fails there is no file. */
  static async create(
    path: string,
    dataKey: Uint8Array,
    first: LogFrame,
    writeAt: WriteAt,
  ): Promise<SegmentWriter> {
    const salt = randomBytes(SALT_BYTES);
    const cipher = new FileCipher(dataKey, salt, SEGMENT_PURPOSE);
    const start = Buffer.concat([encodeSegmentHeader(salt), encodeFrame(cipher, 0, first)]);
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_DSYNC;
    const file = await open(path, flags, 0o600);
    try {
      await writeAt(file, start, 0);
      await syncFolder(dirname(path));
    } catch (error) {
      await file.close();
      await rm(path, { force: true });
      throw error;
    }
    return new SegmentWriter(path, file, cipher, start.length);
  }

  /** Durable when resolved. When it fails, the file is as it was before. */
  async append(frame: LogFrame, writeAt: WriteAt): Promise<void> {
    const bytes = encodeFrame(this.cipher, this.#number, frame);
    this.#number++;
    try {
      await writeAt(this.file, bytes, this.size);
    } catch (error) {
      await this.file.truncate(this.size);
      await this.file.sync();
      throw error;
    }
    this.size += bytes.length;
  }

  close(): Promise<void> {
    return this.file.close();
  }
}
