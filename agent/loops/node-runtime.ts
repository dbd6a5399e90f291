// Whether this node takes containers: what its description says of containerd, so that the scheduler places by
// it. A restart of containerd is over before anything is said; one that stays away is said, and one that comes.
import type { Clock } from "../../common/clock.js";
import type { Logger } from "../../common/log.js";

// Choices: containerd is restarted, by a person or an upgrade, within seconds. Tasks that are placed here
// meanwhile say themselves that it is away.
const LOOK_EVERY_MS = 3_000;
const MISSED_LOOKS = 4;

export class NodeRuntime {
  #has: boolean;
  #missed = 0;

  /** `look` answers what is known, and asks for the next time. */
  constructor(
    private readonly look: () => boolean,
    private readonly clock: Clock,
    private readonly log: Logger,
  ) {
    this.#has = look();
  }

  /** What is said of this node. One without containerd has said so: it names another runtime. */
  get plugins(): readonly { readonly type: string; readonly name: string }[] {
    const names = this.#has ? ["containerd", "process"] : ["process"];
    return names.map((name) => ({ type: "Runtime", name }));
  }

  /** Calls back when it has become otherwise. */
  async follow(changed: () => void, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.clock.sleep(LOOK_EVERY_MS, signal).catch(() => {});
      if (!signal.aborted && this.#judge()) changed();
    }
  }

  #judge(): boolean {
    this.#missed = this.look() ? 0 : this.#missed + 1;
    const has = this.#missed === 0 || (this.#has && this.#missed < MISSED_LOOKS);
    if (has === this.#has) return false;
    this.#has = has;
    if (has) this.log.info({}, "containerd answers: this node takes containers");
    else this.log.warn({}, "containerd does not answer: this node takes no more containers");
    return true;
  }
}
