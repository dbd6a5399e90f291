// What a person said of other managers' addresses while nobody led. This manager dials them there at once; but another one
// may come to lead, that was told nothing and cannot reach them: it is asked to write them into the log.
import { isRefusal } from "../../common/fault.js";
import type { MembershipApi } from "../seams.js";
import { itself } from "./itself.js";
import type { Leadership } from "./leadership.js";

// Choice: an address that nobody could write down is offered again so much later.
const AGAIN_MS = 1_000;

export class ToldAddresses {
  /** By node. */
  readonly #told = new Map<string, string>();

  constructor(
    private readonly membership: Pick<MembershipApi, "setAddr">,
    private readonly leadership: Pick<Leadership, "leader" | "changed">,
  ) {}

  note(nodeId: string, addr: string): void {
    this.#told.set(nodeId, addr);
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.leadership.changed(AGAIN_MS, signal);
      if (this.leadership.leader().kind !== "none") await this.#pass(signal);
    }
  }

  async #pass(signal: AbortSignal): Promise<void> {
    for (const [nodeId, addr] of [...this.#told]) {
      const caller = itself(signal);
      const answer = await this.membership.setAddr({ nodeId, addr }, caller).catch(() => undefined);
      const isOver = !isRefusal(answer) || answer.code !== "unavailable";
      // What was said meanwhile is newer.
      if (answer !== undefined && isOver && this.#told.get(nodeId) === addr)
        this.#told.delete(nodeId);
    }
  }
}
