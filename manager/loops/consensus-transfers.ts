// Callers that wait for leadership to have moved (dissertation section 3.10).
import { Fault } from "../../common/fault.js";
import type { Raft } from "../raft/raft.js";
import { Waiter } from "./consensus-pending.js";

export class Transfers {
  #waiting: { readonly to: number; readonly waiter: Waiter<void> }[] = [];

  wait(to: number, signal: AbortSignal): Promise<void> {
    const waiter = new Waiter<void>(signal, () => {
      this.#waiting = this.#waiting.filter((transfer) => transfer.waiter !== waiter);
    });
    this.#waiting.push({ to, waiter });
    return waiter.promise;
  }

  /** Whether they are done can be told from who leads, and from whether the leader still tries. */
  look(raft: Raft): void {
    // Between leaders there is nothing to tell.
    if (this.#waiting.length === 0 || raft.leaderId === 0) return;
    const open = [];
    for (const transfer of this.#waiting) {
      if (raft.leaderId === transfer.to) transfer.waiter.resolve();
      else if (raft.role === "leader" && raft.transferee === transfer.to) open.push(transfer);
      else transfer.waiter.reject(new Fault("TRANSFER_FAILED", { leaderId: raft.leaderId }));
    }
    this.#waiting = open;
  }

  rejectAll(fault: Fault): void {
    for (const { waiter } of this.#waiting) waiter.reject(fault);
    this.#waiting = [];
  }
}
