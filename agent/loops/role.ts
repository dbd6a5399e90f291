// Makes this node what the swarm wants it to be, step by step (member/role-step.ts says which is next), and
// keeps it so: looks when there is news, and now and then without.
import type { Clock } from "../../common/clock.js";
import { Fault, faultFields, isRefusal, type Refusal, unreachable } from "../../common/fault.js";
import type { Logger } from "../../common/log.js";
import type { Timing } from "../../common/timing.js";
import type { JoinGroupRequest } from "../../proto/gen/admin.js";
import { type Node, Role } from "../../proto/gen/types.js";
import { sentenceOf } from "../member/fault-sentence.js";
import { nextRoleStep, type RoleFacts, type RoleNews, type RoleStep } from "../member/role-step.js";
import type { ManagerHost } from "../seams.js";
import { processSeat } from "./manager-process.js";

export interface RoleDeps {
  readonly clock: Clock;
  readonly timing: Timing;
  readonly log: Logger;
  readonly manager: ManagerHost;
  /** The role that this node's certificate says. */
  readonly certificate: () => "manager" | "worker";
  /** The node's key is not sealed with the swarm's unlock key when this resolves. */
  readonly unseal: () => Promise<void>;
  readonly renew: (signal: AbortSignal) => Promise<Refusal | undefined>;
  /** Where managers are believed to be; this node's own may be among them. */
  readonly addresses: () => readonly string[];
  readonly joinRequest: () => Omit<JoinGroupRequest, "remoteAddr">;
}

export class RoleLoop {
  #news: RoleNews | undefined;
  /** Of the node as it was last told. */
  #version = 0;
  /** Whether the certificate is of this time that the node is to be a manager. */
  #isFresh = false;
  /** How often it was tried in vain to join: each time by another manager. */
  #joins = 0;
  #problem = "";
  #becoming: RoleStep = "nothing";
  #again = new AbortController();

  constructor(private readonly deps: RoleDeps) {}

  get wanted(): RoleNews["wanted"] | undefined {
    return this.#news?.wanted;
  }
  /** Why it is not what it should be, as a sentence; empty when nothing is wrong. */
  get problem(): string {
    return this.#problem;
  }
  /** Whether it is on its way to being a manager and cannot answer as one yet. */
  get becomingManager(): boolean {
    return this.#becoming === "start-process" || this.#becoming === "join-group";
  }

  /** What a leader has said of this node. One that was replaced and does not know it yet says what was once so. */
  hear({ spec, manager, meta }: Node): void {
    const version = meta?.version ?? 0;
    if (version < this.#version) return;
    this.#version = version;
    const wanted = spec?.role === Role.MANAGER ? "manager" : "worker";
    this.#news = { wanted, raftId: manager?.raftId ?? 0 };
    this.#again.abort();
  }

  /** Until the signal is aborted; never throws. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, timing, log, manager, certificate } = this.deps;
    signal.addEventListener("abort", () => this.#again.abort(), { once: true });
    let pauseMs = timing.retryMinMs;
    while (!signal.aborted) {
      // News that comes from here on has it look again.
      this.#again = new AbortController();
      const { state, raftId } = await processSeat(manager);
      const step = nextRoleStep({
        news: this.#news,
        certificate: certificate(),
        process: state as RoleFacts["process"],
        raftId,
        leftover: manager.hasState(),
      });
      this.#becoming = step;
      if (step === "nothing") {
        pauseMs = timing.retryMinMs;
        this.#problem = "";
        if (!signal.aborted) await clock.sleep(timing.resyncMs, this.#again.signal).catch(() => {});
        continue;
      }
      try {
        log.info({ step, wanted: this.wanted, process: state }, "role");
        await this.#take(step, signal);
        this.#problem = "";
        pauseMs = timing.retryMinMs;
      } catch (error) {
        if (signal.aborted) return;
        this.#problem = `becoming a ${this.wanted ?? certificate()}: ${sentenceOf(error)}`;
        log.warn({ step, ...faultFields(error) }, "role step failed");
        await clock.sleep(pauseMs, signal).catch(() => {});
        pauseMs = Math.min(pauseMs * 2, timing.retryMaxMs);
      }
    }
  }

  async #take(step: Exclude<RoleStep, "nothing">, signal: AbortSignal): Promise<void> {
    const { manager, certificate, renew, addresses, joinRequest, clock, timing } = this.deps;
    // First of all: with the manager's disk the key may go that this is to be opened with.
    if (this.wanted === "worker") await this.deps.unseal();
    switch (step) {
      case "renew-certificate": {
        // An agent that was killed may have left a process that nobody here has started.
        if (this.wanted === "worker") await manager.wipe();
        mustNotRefuse(await renew(signal));
        // The managers may not have let go of this node's old role yet.
        if (certificate() !== this.wanted) throw new Fault("ROLE_NOT_GIVEN_YET");
        this.#isFresh = this.wanted === "manager";
        return;
      }
      case "start-process":
        return manager.start();
      case "join-group": {
        // Managers that were away know it as the worker that it was in between, and believe only what is newer.
        if (!this.#isFresh) mustNotRefuse(await renew(signal));
        this.#isFresh = true;
        const request = joinRequest();
        const others = addresses().filter((addr) => addr !== request.advertiseAddr);
        const remoteAddr = others[this.#joins++ % Math.max(others.length, 1)];
        if (remoteAddr === undefined) throw new Fault("NO_OTHER_MANAGER");
        mustNotRefuse(await manager.join({ ...request, remoteAddr }));
        this.#isFresh = false;
        return;
      }
      case "confirm-seat": {
        const { advertiseAddr } = joinRequest();
        const others = addresses().filter((addr) => addr !== advertiseAddr);
        const status = mustNotRefuse(await manager.confirmSeat([...others, advertiseAddr]));
        // It is there and the store does not show it yet, or nobody could say.
        if (status.state === "running")
          await clock.sleep(timing.retryMaxMs, this.#again.signal).catch(() => {});
        return;
      }
      case "leave-group":
        mustNotRefuse(await manager.leave(false));
        return manager.wipe();
      case "wipe-process":
        return manager.wipe();
      default:
        return unreachable(step);
    }
  }
}

function mustNotRefuse<T>(answer: T | Refusal): T {
  if (isRefusal(answer)) throw new Fault("REFUSED", {}, new Error(answer.message));
  return answer;
}
