// Carries a process's output to its log and to those who are attached. Who reads slowly slows the
// process down, as a pipe does, and after a long while without reading anything is cut off: a forgotten
// terminal must not stop a service for good. The log gets every byte before anybody else does.
import type { Readable } from "node:stream";

/** Where a process's output comes from. With a terminal all of it comes as `stdout`. */
export interface OutputSource {
  readonly stdout: Readable;
  readonly stderr: Readable | undefined;
}

export interface OutletClient {
  /** Bytes that are queued for it. */
  readonly queuedBytes: number;
  output(stream: "stdout" | "stderr", chunk: Buffer): void;
  cutOff(): void;
}

// Choices: a screenful many times over; and the time for which Docker's users have seen `less` sit still.
const QUEUED_BYTES_MAX = 1024 * 1024;
const STUCK_MS = 60_000;
const LOOK_AGAIN_MS = 50;

export class Outlet {
  readonly #clients = new Set<OutletClient>();
  readonly #slow = new Map<OutletClient, { queuedBytes: number; sinceMs: number }>();
  #source: OutputSource | undefined;
  #hurry = false;

  /** Resolves when all output has been carried. */
  carry(
    source: OutputSource,
    keep: (stream: "stdout" | "stderr", chunk: Buffer) => void,
  ): Promise<unknown> {
    this.#source = source;
    const carried = (["stdout", "stderr"] as const).map((name) => {
      const stream = source[name];
      if (stream === undefined) return undefined;
      stream.on("data", (chunk: Buffer) => {
        keep(name, chunk);
        for (const client of this.#clients) client.output(name, chunk);
        this.#slowDown();
      });
      return new Promise<void>((resolve) => stream.once("close", resolve));
    });
    return Promise.all(carried);
  }

  add(client: OutletClient): void {
    this.#clients.add(client);
  }

  remove(client: OutletClient): void {
    this.#clients.delete(client);
    this.#slow.delete(client);
  }

  /** The process has ended: what is left in its pipes is little, and is read whoever is slow. */
  hurry(): void {
    this.#hurry = true;
    this.#flow("resume");
  }

  #slowDown(): void {
    if (this.#hurry) return;
    for (const client of this.#clients) {
      if (client.queuedBytes > QUEUED_BYTES_MAX && !this.#slow.has(client)) {
        this.#slow.set(client, { queuedBytes: client.queuedBytes, sinceMs: performance.now() });
      }
    }
    if (this.#slow.size === 0) return;
    this.#flow("pause");
    setTimeout(() => this.#lookAgain(), LOOK_AGAIN_MS);
  }

  #lookAgain(): void {
    const nowMs = performance.now();
    for (const [client, seen] of this.#slow) {
      if (client.queuedBytes <= QUEUED_BYTES_MAX / 2) this.#slow.delete(client);
      else if (client.queuedBytes < seen.queuedBytes) {
        this.#slow.set(client, { queuedBytes: client.queuedBytes, sinceMs: nowMs });
      } else if (nowMs - seen.sinceMs > STUCK_MS) {
        this.remove(client);
        client.cutOff();
      }
    }
    if (this.#slow.size === 0) this.#flow("resume");
    else if (!this.#hurry) setTimeout(() => this.#lookAgain(), LOOK_AGAIN_MS);
  }

  #flow(how: "pause" | "resume"): void {
    this.#source?.stdout[how]();
    this.#source?.stderr?.[how]();
  }
}
