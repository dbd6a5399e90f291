// One user of the disk at a time, in the order of asking (LogDisk's contract).
import { Fault } from "../../common/fault.js";
import type { LogDisk } from "../seams.js";

export class DiskTurns {
  #last: Promise<void> = Promise.resolve();
  #waiting = 0;
  #closing: Promise<void> | undefined;

  constructor(private readonly disk: LogDisk) {}

  get busy(): boolean {
    return this.#waiting > 0;
  }

  take(action: (disk: LogDisk) => Promise<void>): Promise<void> {
    this.#waiting++;
    const turn = this.#last.then(() => action(this.disk)).finally(() => this.#waiting--);
    this.#last = turn.catch(() => {});
    return turn;
  }

  /** Resolves after the turns that have been asked for, and after what followed on them. */
  async idle(): Promise<void> {
    await this.#last;
    await Promise.resolve();
  }

  close(): Promise<void> {
    this.#closing ??= this.#last.then(() => this.disk.close());
    return this.#closing;
  }
}

export function isDiskFull(error: unknown): error is Fault {
  return error instanceof Fault && error.code === "DISK_FULL";
}
