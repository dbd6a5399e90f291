// Test exchanges with each peer, when it is new and every hour, that leave to the network interface what real frames
// leave to it. Where they are lost while pings pass, it is tried whether they pass when this machine's processor does
// the work; if so, and only if they are lost again when the interface does, it goes on doing so on this node's
// VXLAN devices. `agent/overlay/offload-test.ts` judges.

import type { Clock } from "../../common/clock.js";
import { messageOf } from "../../common/fault.js";
import { WATCH_VNI } from "../../common/ids.js";
import type { Logger } from "../../common/log.js";
import type { Timing } from "../../common/timing.js";
import { type Judgement, judge, type Offload } from "../overlay/offload-test.js";
import { probeIp } from "../overlay/probe-address.js";
import type { WatchedPeer } from "../reconcile/watch-want.js";
import type { Finding, OffloadDoor } from "../seams.js";
import type { Findings } from "./findings.js";
import { repairedFinding, unmendedFinding } from "./offload-words.js";
import type { PeerView } from "./peers.js";

// Choice: peers at once; each costs some hundred packets.
const PEERS_AT_ONCE = 8;
// Choice, in resyncs (of ten seconds): what is well is tested again after an hour; what is not, or cannot be told,
// after ten seconds, twenty, … at last an hour.
const AGAIN = 360;
const REMEMBERED = ["checksum", "segmentation"] as const;

export interface OffloadDeps {
  readonly view: () => PeerView | undefined;
  /** Of the networks on this node. */
  readonly vnis: () => readonly number[];
  readonly door: OffloadDoor;
  readonly findings: Findings;
  readonly clock: Clock;
  readonly timing: Pick<Timing, "resyncMs" | "dialMs">;
  readonly log: Logger;
  /** Called once, when first something is taken from the interface: frames must go by the devices that have it off. */
  readonly onOff: () => void;
}

interface Tested {
  dueMs: number;
  pauseMs: number;
  judgement: Judgement;
}

export class OffloadWatch {
  readonly #tested = new Map<string, Tested>();
  /** What was taken from the interface, and what showed that it had to be. */
  readonly #off = new Map<Offload, string>();
  #isTold = false;

  constructor(private readonly deps: OffloadDeps) {
    // Before any frame is sent past devices that an earlier agent has mended.
    this.#remember();
  }

  /** Whether this machine's processor does what an interface would do wrong. */
  get isMending(): boolean {
    return this.#off.size > 0;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, timing, log } = this.deps;
    while (!signal.aborted) {
      try {
        await this.#turn(signal);
      } catch (error) {
        if (!signal.aborted) log.warn({ err: messageOf(error) }, "offloads not tested");
      }
      await clock.sleep(timing.resyncMs / 4, signal).catch(() => {});
    }
    this.deps.door.close();
  }

  async #turn(signal: AbortSignal): Promise<void> {
    const { view, door, clock } = this.deps;
    const now = view();
    if (now === undefined) {
      this.#tested.clear();
      this.deps.findings.report("offloads", []);
      return;
    }
    door.answer(probeIp(now.vtep));
    this.#remember();
    this.#tellOff();
    const peers = new Map(now.peers.map((peer) => [peer.nodeId, peer]));
    for (const id of this.#tested.keys()) if (!peers.has(id)) this.#tested.delete(id);
    const due = now.peers.filter(
      ({ nodeId, silent }) =>
        !silent && (this.#tested.get(nodeId)?.dueMs ?? 0) <= clock.monotonicMs(),
    );
    const part = due.slice(0, PEERS_AT_ONCE);
    const judged = await Promise.all(part.map((peer) => this.#test(now, peer, signal)));
    for (const [at, peer] of part.entries()) {
      let judgement = judged[at] ?? "unknown";
      if (judgement !== "fine" && judgement !== "unknown")
        judgement = await this.#mend(now, peer, judgement, signal);
      if (signal.aborted) return;
      this.#note(peer.nodeId, judgement);
    }
    this.#apply();
    this.#tellOff();
    this.#tell(now);
  }

  #tellOff(): void {
    if (this.#isTold || !this.isMending) return;
    this.#isTold = true;
    this.deps.onOff();
  }

  async #test(view: PeerView, peer: WatchedPeer, signal: AbortSignal): Promise<Judgement> {
    const { door, timing } = this.deps;
    const [own, there] = [probeIp(view.vtep), probeIp(peer.vtep)];
    return judge(await door.exchange(own, there, timing.dialMs / 2, signal));
  }

  /** With the interface's help, without, and with it again: anything else may have been a bad moment. */
  async #mend(
    view: PeerView,
    peer: WatchedPeer,
    first: Offload,
    signal: AbortSignal,
  ): Promise<Judgement> {
    const { door, log } = this.deps;
    const again = await this.#test(view, peer, signal);
    if (again !== first || door.has(WATCH_VNI, first) !== true) return again;
    door.set(WATCH_VNI, first, false);
    const without = await this.#test(view, peer, signal);
    door.set(WATCH_VNI, first, true);
    if (without === first || without === "unknown") return first;
    if ((await this.#test(view, peer, signal)) !== first) return without;
    door.set(WATCH_VNI, first, false);
    this.#off.set(first, peer.hostname);
    log.warn({ peer: peer.hostname, offload: first }, "offload turned off on the VXLAN devices");
    return without;
  }

  /** An earlier agent has found out the same, and the devices still have it. */
  #remember(): void {
    if (this.#off.size > 0) return;
    const { door } = this.deps;
    // Without checksums a device cuts no segments either.
    const offload = REMEMBERED.find((each) => door.has(WATCH_VNI, each) === false);
    if (offload !== undefined) this.#off.set(offload, "");
  }

  /** Devices come with all their offloads. */
  #apply(): void {
    const { door, vnis } = this.deps;
    for (const vni of [...vnis(), WATCH_VNI]) {
      for (const offload of this.#off.keys())
        if (door.has(vni, offload) === true) door.set(vni, offload, false);
    }
  }

  #note(nodeId: string, judgement: Judgement): void {
    const { clock, timing } = this.deps;
    const longestMs = AGAIN * timing.resyncMs;
    const pauseMs = this.#tested.get(nodeId)?.pauseMs ?? timing.resyncMs / 2;
    const next = judgement === "fine" ? longestMs : Math.min(2 * pauseMs, longestMs);
    const dueMs = clock.monotonicMs() + next;
    // From the beginning, once it is not well any more.
    const kept = judgement === "fine" ? timing.resyncMs / 2 : next;
    this.#tested.set(nodeId, { dueMs, pauseMs: kept, judgement });
  }

  #tell({ hostname, peers }: PeerView): void {
    const found: Finding[] = [...this.#off].map(([offload, peer]) =>
      repairedFinding(offload, hostname, peer),
    );
    for (const peer of peers) {
      const judgement = this.#tested.get(peer.nodeId)?.judgement ?? "unknown";
      if (judgement !== "fine" && judgement !== "unknown")
        found.push(unmendedFinding(judgement, hostname, peer));
    }
    this.deps.findings.report("offloads", found);
  }
}
