// Waits for descriptors, on a thread that has nothing else to do.
import { closeSync } from "node:fs";
import { SystemError } from "../../common/libc.js";
import type { Ready } from "../seams.js";
import type { Arena } from "./arena.js";
import {
  EPOLL_DATA_OFFSET,
  EPOLL_EVENT_BYTES,
  epollAddTagged,
  epollCreate,
  epollRemove,
} from "./libc.js";
import { wire } from "./wire-calls.js";

// Choice: with more of them ready the others have their turn in the next round.
const EVENTS_MAX = 64;
// A process that exits in a hurry waits for its threads, and a thread ends only between two calls.
const WAIT_MS = 500;

export class Poller implements Ready {
  readonly #fd = epollCreate();
  readonly #events: number;

  constructor(private readonly arena: Arena) {
    this.#events = arena.take(EVENTS_MAX * EPOLL_EVENT_BYTES);
  }

  add(fd: number): void {
    epollAddTagged(this.#fd, fd, fd);
  }

  remove(fd: number): void {
    try {
      epollRemove(this.#fd, fd);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
    }
  }

  /** How many can be read now, once there is one; 0 when it took too long. */
  wait(): number {
    const ready = wire.epollWait(this.#fd, this.arena.address + this.#events, EVENTS_MAX, WAIT_MS);
    return Math.max(ready, 0);
  }

  /** The descriptor of one that `wait` found. */
  ready(index: number): number {
    const at = this.#events + index * EPOLL_EVENT_BYTES + EPOLL_DATA_OFFSET;
    return this.arena.view.getInt32(at, true);
  }

  close(): void {
    closeSync(this.#fd);
  }
}
