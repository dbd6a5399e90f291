// Hears that something was mounted or unmounted on this machine: our namespaces are files with one mounted on each.
// proc_pid_mountinfo(5) says how; it does not say what.
import { closeSync, openSync } from "node:fs";
import { EPOLLPRI, epollAdd, epollAny, epollCreate } from "./libc.js";

export class MountWatch {
  readonly #file = openSync("/proc/self/mountinfo", "r");
  readonly #epoll = epollCreate();

  constructor() {
    epollAdd(this.#epoll, this.#file, EPOLLPRI);
  }

  /** Since it was last asked. */
  changed(): boolean {
    return epollAny(this.#epoll);
  }

  close(): void {
    closeSync(this.#epoll);
    closeSync(this.#file);
  }
}
