// Says when the kernel's table of connections is full or nearly so: new connections are dropped then, which
// looks from outside like a network that fails now and again.
import type { Clock } from "../../common/clock.js";
import type { Logger } from "../../common/log.js";
import type { Timing } from "../../common/timing.js";
import type { FlowTable } from "../seams.js";

// Choice: what is nine tenths full is full at the next burst.
const NEARLY = 0.9;
// Choice: who asks why something failed a while ago is still told.
const REMEMBERED_MS = 600_000;

export class FlowWatch {
  #dropped: number | undefined;
  #lastDropMs = Number.NEGATIVE_INFINITY;
  #toldMs = Number.NEGATIVE_INFINITY;
  #said = "";

  constructor(
    private readonly look: () => FlowTable | undefined,
    private readonly clock: Clock,
    private readonly log: Logger,
  ) {}

  /** For `info`: a sentence for what is wrong now, or was in the last ten minutes. */
  warnings(): readonly string[] {
    const table = this.#observe();
    if (table === undefined) return [];
    const sentence = wordsOf(table, this.clock.monotonicMs() - this.#lastDropMs < REMEMBERED_MS);
    return sentence === undefined ? [] : [sentence];
  }

  /** Looks every `resyncMs`, and logs what changes. */
  async follow({ resyncMs }: Pick<Timing, "resyncMs">, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#tell();
      await this.clock.sleep(resyncMs, signal).catch(() => {});
    }
  }

  #tell(): void {
    const table = this.#observe();
    if (table === undefined) return;
    const drops = this.#lastDropMs > this.#toldMs;
    this.#toldMs = this.clock.monotonicMs();
    const state = drops ? "full" : isNearlyFull(table) ? "nearly full" : "";
    if (state === this.#said) return;
    this.#said = state;
    const { entries, max, dropped } = table;
    const facts = { entries, max, dropped };
    if (state === "") this.log.info(facts, "the kernel's table of connections has room again");
    else this.log.warn(facts, `the kernel's table of connections is ${state} (nf_conntrack_max)`);
  }

  #observe(): FlowTable | undefined {
    const table = this.look();
    if (table === undefined) return undefined;
    // What was dropped before this agent looked for the first time is not news.
    if (table.dropped > (this.#dropped ?? table.dropped)) {
      this.#lastDropMs = this.clock.monotonicMs();
    }
    this.#dropped = table.dropped;
    return table;
  }
}

function isNearlyFull({ entries, max }: FlowTable): boolean {
  return max > 0 && entries >= max * NEARLY;
}

function wordsOf(table: FlowTable, droppedLately: boolean): string | undefined {
  const { entries, max, dropped } = table;
  const raise = "Raise net.netfilter.nf_conntrack_max with sysctl";
  const use = `${entries} of ${max} entries`;
  if (droppedLately) {
    return `The kernel's table of connections was full and new connections were dropped (${use} now, ${dropped} dropped). ${raise}.`;
  }
  if (!isNearlyFull(table)) return undefined;
  return `The kernel's table of connections is nearly full (${use}): new ones will be dropped. ${raise}.`;
}
