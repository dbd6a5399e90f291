// Endpoints that are to be given back. The list is on disk, so that no address stays taken because no
// manager answered at the moment, or because the agent was killed in between.
import type { Clock } from "../../common/clock.js";
import { messageOf } from "../../common/fault.js";
import type { Logger } from "../../common/log.js";
import type { Timing } from "../../common/timing.js";
import type { ReleaseDisk } from "../task/keeping.js";
import type { Endpoints } from "./placing.js";

// Choice: how long someone who waits for a container's end waits for a manager that does not answer.
const PATIENCE_MS = 3_000;

export class Releases {
  readonly #ids = new Set<string>();
  readonly #stopped = new AbortController();
  /** Passes run one after another. */
  #pass: Promise<void> = Promise.resolve();
  #retrying: Promise<void> | undefined;

  constructor(
    private readonly endpoints: Endpoints,
    private readonly disk: ReleaseDisk,
    private readonly clock: Clock,
    private readonly timing: Timing,
    private readonly log: Logger,
  ) {}

  async restore(): Promise<void> {
    for (const id of await this.disk.load()) this.#ids.add(id);
    void this.#tryAll();
  }

  /** Takes note, durably, that `add` comes next; the owner can then forget them durably too. */
  async note(endpointIds: readonly string[]): Promise<void> {
    for (const id of endpointIds) this.#ids.add(id);
    await this.#save();
  }

  /** Whether it is on its way back, whatever its owner's record says. */
  has(endpointId: string): boolean {
    return this.#ids.has(endpointId);
  }

  /**
   * Takes note, durably, and gives them back. Resolves when that was tried, or after a while; what was
   * not answered is tried again behind.
   */
  async add(endpointIds: readonly string[]): Promise<void> {
    if (endpointIds.length === 0) return;
    for (const id of endpointIds) this.#ids.add(id);
    await this.#save();
    const patience = new AbortController();
    try {
      await Promise.race([
        this.#tryAll(),
        this.clock.sleep(PATIENCE_MS, patience.signal).catch(() => undefined),
      ]);
    } finally {
      patience.abort();
    }
  }

  /** The swarm that gave them is no longer this node's. */
  async clear(): Promise<void> {
    this.#ids.clear();
    await this.disk.save([]);
  }

  async close(): Promise<void> {
    this.#stopped.abort();
    await this.#retrying;
    await this.#pass;
  }

  #tryAll(): Promise<void> {
    this.#pass = this.#pass.then(() => this.#giveBackAll());
    return this.#pass.then(() => {
      if (this.#ids.size === 0 || this.#stopped.signal.aborted) return;
      this.#retrying ??= this.#retry().finally(() => {
        this.#retrying = undefined;
      });
    });
  }

  async #retry(): Promise<void> {
    let pauseMs = this.timing.retryMinMs;
    while (this.#ids.size > 0 && !this.#stopped.signal.aborted) {
      await this.clock.sleep(pauseMs, this.#stopped.signal).catch(() => undefined);
      pauseMs = Math.min(pauseMs * 2, this.timing.retryMaxMs);
      this.#pass = this.#pass.then(() => this.#giveBackAll());
      await this.#pass;
    }
  }

  /**
   * What the disk does not take is given back all the same. The list there is then too short, and the
   * owner's own record still names the endpoint; or too long, and detaching twice is no error.
   */
  async #save(): Promise<void> {
    try {
      await this.disk.save([...this.#ids]);
    } catch (error) {
      this.log.warn({ err: messageOf(error) }, "releases not saved");
    }
  }

  async #giveBackAll(): Promise<void> {
    if (this.#ids.size === 0) return;
    for (const id of [...this.#ids]) {
      if (this.#stopped.signal.aborted) return;
      try {
        const refusal = await this.endpoints.detach(id);
        if (refusal) this.log.warn({ endpoint: id, err: refusal.message }, "detach refused");
        // A manager that refuses has decided: it is not ours to give back, and asking again is no use.
        if (refusal?.code !== "unavailable") this.#ids.delete(id);
      } catch (error) {
        this.log.debug({ endpoint: id, err: messageOf(error) }, "detach not answered");
      }
    }
    await this.#save();
  }
}
