// Keeps the node's certificate fresh: renewed in time, at once when its role is to change, and soon when the swarm moves
// to another root. What changes is on disk before anything uses it.
import {
  BACKDATE_MS,
  type CertificateFacts,
  isIssuedBy,
  isSignedWith,
  readCertificate,
  renewalTimeMs,
} from "../../common/certificates.js";
import type { Clock } from "../../common/clock.js";
import { assert, Fault, isRefusal, type Refusal, refuse } from "../../common/fault.js";
import type { Logger } from "../../common/log.js";
import type { Random } from "../../common/random.js";
import type { Timing } from "../../common/timing.js";
import { Signal } from "../../common/watch.js";
import { sentenceOf } from "../member/fault-sentence.js";
import type { CertificateDoor, IdentityDisk, NodeIdentity } from "../seams.js";

// Choice: a machine's clock may be set meanwhile (also: setTimeout counts to 2^31 ms only).
const LOOK_MAX_MS = 6 * 3_600_000;
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
  /** Of this node's own manager, for when no manager can be asked since the certificates of all are over. */
  readonly renewAlone: (identity: NodeIdentity) => Promise<Renewed | Refusal>;
  /** After the disk has it: live connections, the manager process, node.json. */
  readonly onChanged: (identity: NodeIdentity) => Promise<void>;
}

/** PEM: the chain, leaf first, and the roots to trust. */
export type Renewed = Pick<NodeIdentity, "certificate" | "root">;

/** What the leader says of certificates; empty fields say nothing. */
export interface Told {
  /** PEM: whom to trust from now on. */
  readonly roots: Uint8Array;
  /** SPKI, DER: whose certificates count from now on. */
  readonly signer: Uint8Array;
  /** Over how long the nodes spread their asking. */
  readonly spreadMs: number;
}

export class IdentityLoop {
  readonly #news = new Signal();
  #renewing: Promise<Refusal | undefined> | undefined;
  #changing: Promise<unknown> = Promise.resolve();
  #problem = "";
  #told: Told = { roots: EMPTY, signer: EMPTY, spreadMs: 0 };
  /** When to ask for a certificate of that signer; undefined: this one is. */
  #moveAtMs: number | undefined;
  /** How far this clock was ahead of the issuer's when the certificate came; 0: it was not seen coming. */
  #aheadMs = 0;
  #fraction: number;

  constructor(
    private identity: NodeIdentity,
    private readonly deps: IdentityDeps,
  ) {
    this.#fraction = this.#draw();
  }

  get current(): NodeIdentity {
    return this.identity;
  }
  /** Why the certificate could not be renewed; empty when all is well. */
  get problem(): string {
    return this.#problem;
  }

  /** Its key could not be read until now. */
  unsealed(identity: NodeIdentity): void {
    this.identity = identity;
  }

  /** Said again and again; what is so already changes nothing. */
  hear(told: Told): void {
    const sameSigner = Buffer.compare(told.signer, this.#told.signer) === 0;
    this.#told = told;
    if (!sameSigner) this.#moveAtMs = undefined;
    this.#news.notify();
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, timing, log } = this.deps;
    while (!signal.aborted) {
      if (!(await this.#trustAsTold())) {
        await clock.sleep(timing.retryMaxMs, signal).catch(() => {});
        continue;
      }
      const facts = this.#facts();
      const dueMs = this.#dueMs(facts);
      if ((await this.#sleepUntil(dueMs, signal)) !== "due") continue;
      const refusal = await this.renew(signal).catch((error: unknown) =>
        refuse("unavailable", sentenceOf(error)),
      );
      if (refusal === undefined || signal.aborted) continue;
      const expired = clock.nowMs() > facts.notAfterMs;
      this.#problem = expired
        ? `the node's certificate has expired, and was not renewed: ${refusal.message}`
        : `the node's certificate could not be renewed: ${refusal.message}`;
      log.warn({ why: refusal.message, expired }, "certificate not renewed");
      const isUrgent = expired || this.#moveAtMs !== undefined;
      const pauseMs = timing.retryMaxMs * (isUrgent ? 1 : RETRIES_PER_PAUSE);
      await clock.sleep(pauseMs, signal).catch(() => {});
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
    const { door, clock, renewAlone } = this.deps;
    let why = refuse("unavailable", "no manager is known");
    for (const addr of this.deps.addresses()) {
      if (signal.aborted) throw new Fault("STOPPED");
      const issued = await door.renew(addr, this.identity, signal);
      if (!isRefusal(issued)) return this.#take(issued);
      // Who says no has said more than who cannot be asked.
      if (why.code === "unavailable") why = issued;
    }
    if (why.code !== "unavailable" || clock.nowMs() <= this.#facts().notAfterMs) return why;
    const alone = await renewAlone(this.identity);
    if (!isRefusal(alone)) return this.#take(alone);
    return alone.code === "permission-denied" ? alone : why;
  }

  async #take({ certificate, root }: Renewed): Promise<undefined> {
    await this.#change((now) => ({ key: now.key, certificate, root }));
    const { notBeforeMs } = this.#facts();
    this.#aheadMs = this.deps.clock.nowMs() - (notBeforeMs + BACKDATE_MS);
    this.#fraction = this.#draw();
    this.#moveAtMs = undefined;
    this.#problem = "";
    this.#news.notify();
  }

  /** Whether the roots that were told are trusted now, or are not to be. */
  async #trustAsTold(): Promise<boolean> {
    const { roots } = this.#told;
    const { certificate, root } = this.identity;
    if (roots.length === 0 || Buffer.compare(roots, root) === 0) return true;
    const { notBeforeMs, notAfterMs } = this.#facts();
    const aliveMs = Math.min(Math.max(this.deps.clock.nowMs(), notBeforeMs), notAfterMs);
    if (!isIssuedBy(certificate, roots, aliveMs)) {
      // A certificate of theirs comes first, and the roots with it.
      this.#moveAtMs ??= this.deps.clock.nowMs();
      return true;
    }
    try {
      await this.#change((now) => ({ ...now, root: roots }));
      this.deps.log.info({}, "trusts the roots of now");
      return true;
    } catch (error) {
      this.#problem = `the swarm's root certificate was not written: ${sentenceOf(error)}`;
      this.deps.log.warn({ err: sentenceOf(error) }, "root not written");
      return false;
    }
  }

  /** One change after the other: the disk has three files. */
  #change(next: (now: NodeIdentity) => NodeIdentity): Promise<void> {
    const change = async () => {
      const identity = next(this.identity);
      await this.deps.disk.save(identity);
      this.identity = identity;
      await this.deps.onChanged(identity);
    };
    const done = this.#changing.then(change, change);
    this.#changing = done.catch(() => {});
    return done;
  }

  /** By this node's clock. */
  #dueMs(facts: CertificateFacts): number {
    const { signer, spreadMs } = this.#told;
    const inTimeMs = renewalTimeMs(facts, this.#fraction) + this.#aheadMs;
    if (signer.length > 0 && !isSignedWith(this.identity.certificate, signer)) {
      this.#moveAtMs ??= this.deps.clock.nowMs() + spreadMs * this.#draw();
    }
    return Math.min(inTimeMs, this.#moveAtMs ?? inTimeMs);
  }

  #facts(): CertificateFacts {
    const facts = readCertificate(this.identity.certificate);
    assert(facts, "a certificate that was stored can be read");
    return facts;
  }

  #draw(): number {
    return this.deps.random.below(FRACTION_STEPS) / FRACTION_STEPS;
  }

  async #sleepUntil(dueMs: number, signal: AbortSignal): Promise<"due" | "again"> {
    const waitMs = dueMs - this.deps.clock.nowMs();
    if (waitMs <= 0) return "due";
    const either = new AbortController();
    const onAbort = () => either.abort();
    signal.addEventListener("abort", onAbort, { once: true });
    const woken = this.#news.wait(either.signal).then(() => "again" as const);
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

const EMPTY = new Uint8Array();
