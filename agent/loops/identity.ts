// Keeps the node's certificate fresh: renewed in time, and at once when its role is to change. A new
// certificate is on disk before anything uses it.
import { readCertificate, renewalTimeMs } from "../../common/certificates.js";
import type { Clock } from "../../common/clock.js";
import { assert, Fault, isRefusal, type Refusal, refuse } from "../../common/fault.js";
import type { Logger } from "../../common/log.js";
import type { Random } from "../../common/random.js";
import type { Timing } from "../../common/timing.js";
import { Signal } from "../../common/watch.js";
import { sentenceOf } from "../member/fault-sentence.js";
import type { CertificateDoor, IdentityDisk, Issued, NodeIdentity } from "../seams.js";

// Choice: setTimeout counts to 2^31 ms only, and a machine's clock may be set meanwhile: look daily.
const LOOK_MAX_MS = 86_400_000;
// Choice: a renewal that failed has weeks left; every retry costs the managers a handshake.
const RETRIES_PER_PAUSE = 10;
const FRACTION_STEPS = 1_000_000;

export interface IdentityDeps {
  readonly door: CertificateDoor;
  readonly disk: IdentityDisk;
  readonly clock: Clock;
  readonly random: Random;
  readonly timing: Timing;
  readonly log: Logger;
  readonly addresses: () => readonly string[];
  /** After the disk has it: live connections, the manager process, node.json. */
  readonly onRenewed: (identity: NodeIdentity, issued: Issued) => Promise<void>;
}

export class IdentityLoop {
  readonly #renewed = new Signal();
  #renewing: Promise<Refusal | undefined> | undefined;
  #problem = "";

  constructor(
    private identity: NodeIdentity,
    private readonly deps: IdentityDeps,
  ) {}

  get current(): NodeIdentity {
    return this.identity;
  }
  /** Why the certificate could not be renewed; empty when all is well. */
  get problem(): string {
    return this.#problem;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, random, timing, log } = this.deps;
    while (!signal.aborted) {
      const facts = readCertificate(this.identity.certificate);
      assert(facts, "a certificate that was stored can be read");
      const dueMs = renewalTimeMs(facts, random.below(FRACTION_STEPS) / FRACTION_STEPS);
      if ((await this.#sleepUntil(dueMs, signal)) !== "due") continue;
      const refusal = await this.renew(signal).catch((error: unknown) =>
        refuse("unavailable", sentenceOf(error)),
      );
      if (refusal === undefined || signal.aborted) continue;
      const expired = clock.nowMs() > facts.notAfterMs;
      this.#problem = expired
        ? "the node's certificate has expired; leave the swarm with --force and join again"
        : `the node's certificate could not be renewed: ${refusal.message}`;
      log.warn({ why: refusal.message, expired }, "certificate not renewed");
      await clock.sleep(timing.retryMaxMs * RETRIES_PER_PAUSE, signal).catch(() => {});
    }
  }

  /** Asks the managers in turn. Asking while one is under way waits for that one. */
  renew(signal: AbortSignal): Promise<Refusal | undefined> {
    this.#renewing ??= this.#renew(signal).finally(() => {
      this.#renewing = undefined;
    });
    return this.#renewing;
  }

  async #renew(signal: AbortSignal): Promise<Refusal | undefined> {
    let last = refuse("unavailable", "no manager is known");
    for (const addr of this.deps.addresses()) {
      if (signal.aborted) throw new Fault("STOPPED");
      const issued = await this.deps.door.renew(addr, this.identity, signal);
      if (isRefusal(issued)) {
        last = issued;
        continue;
      }
      const { certificate, root } = issued;
      const next = { key: this.identity.key, certificate, root };
      await this.deps.disk.save(next);
      this.identity = next;
      this.#problem = "";
      await this.deps.onRenewed(next, issued);
      this.#renewed.notify();
      return undefined;
    }
    return last;
  }

  async #sleepUntil(dueMs: number, signal: AbortSignal): Promise<"due" | "again"> {
    const waitMs = dueMs - this.deps.clock.nowMs();
    if (waitMs <= 0) return "due";
    const either = new AbortController();
    const onAbort = () => either.abort();
    signal.addEventListener("abort", onAbort, { once: true });
    const woken = this.#renewed.wait(either.signal).then(() => "again" as const);
    const slept = this.deps.clock
      .sleep(Math.min(waitMs, LOOK_MAX_MS), either.signal)
      .then(() => (waitMs <= LOOK_MAX_MS ? ("due" as const) : ("again" as const)));
    try {
      return await Promise.race([woken, slept]);
    } catch {
      return "again";
    } finally {
      signal.removeEventListener("abort", onAbort);
      either.abort();
      await Promise.allSettled([woken, slept]);
    }
  }
}
