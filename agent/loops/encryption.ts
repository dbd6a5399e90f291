// How this node takes part in encrypted networks: its key, whether it can, and what a person should know of it.

import type { Clock } from "../../common/clock.js";
import { isEncrypted } from "../../common/encrypted.js";
import { messageOf } from "../../common/fault.js";
import type { Logger } from "../../common/log.js";
import type { Random } from "../../common/random.js";
import type { Timing } from "../../common/timing.js";
import type { Wireguard } from "../../proto/gen/types.js";
import { keyBytes, WireguardKey } from "../overlay/wireguard-key.js";
import type { EncryptionKind, Kernel } from "../reconcile/kernel.js";
import { encryptionFindings, HandshakeWatch } from "../reconcile/wireguard-findings.js";
import { WIREGUARD } from "../reconcile/wireguard-plan.js";
import type { SelfEncryption } from "../reconcile/wireguard-want.js";
import type { NodeRecord, WireguardKeyDisk } from "../seams.js";
import type { Applier } from "./apply.js";
import type { Findings } from "./findings.js";
import type { Member } from "./member.js";

const SOURCE = "encryption";
const KEY_BYTES = 32;

export interface EncryptionDeps {
  readonly kernel: Kernel;
  readonly applier: Applier;
  readonly disk: WireguardKeyDisk;
  readonly findings: Findings;
  readonly hostname: string;
  /** UDP. */
  readonly port: number;
  readonly random: Random;
  readonly clock: Clock;
  readonly timing: Timing;
  readonly log: Logger;
}

export class Encryption {
  #kind: EncryptionKind;
  #clusterId = "";
  #key: WireguardKey | undefined;
  readonly #watch = new HandshakeWatch();

  constructor(private readonly deps: EncryptionDeps) {
    this.#kind = deps.kernel.encryptionKind();
  }

  /** The key of this membership; one that was lost is replaced by a new one, which the other nodes then hear of. */
  async enter({ clusterId }: NodeRecord): Promise<void> {
    const { disk, random, log } = this.deps;
    this.#clusterId = clusterId;
    this.#key = await disk.load();
    if (this.#key !== undefined) return;
    const key = WireguardKey.fromChance(random.bytes(KEY_BYTES));
    this.#key = key;
    log.info({ key: key.publicKey }, "new WireGuard key");
    try {
      await disk.save(key);
    } catch (error) {
      // On a full disk it holds until the agent is started again, and then there is another.
      log.warn({ err: messageOf(error) }, "WireGuard key not saved");
    }
  }

  /** For the want; undefined before a swarm is entered. */
  self(): SelfEncryption | undefined {
    const { deps } = this;
    if (this.#key === undefined) return undefined;
    if (typeof this.#kind === "object") return { kind: "impossible", why: this.#kind.impossible };
    return { kind: "ready", clusterId: this.#clusterId, key: this.#key, port: deps.port };
  }

  describe(): Wireguard {
    const kind = this.#kind;
    if (typeof kind === "object") {
      return { publicKey: Buffer.alloc(0), port: 0, kind: "", problem: kind.impossible };
    }
    const publicKey = keyBytes(this.#key?.publicKey ?? "") ?? Buffer.alloc(0);
    return { publicKey, port: this.deps.port, kind, problem: "" };
  }

  /** Looks again and again; `changed` is called when the node can encrypt and could not, or the other way round. */
  async follow(
    member: () => Member | undefined,
    changed: () => void,
    signal: AbortSignal,
  ): Promise<void> {
    const { clock, timing, log } = this.deps;
    while (!signal.aborted) {
      await clock.sleep(timing.resyncMs, signal).catch(() => {});
      if (signal.aborted) return;
      try {
        await this.#look(member(), changed);
      } catch (error) {
        log.debug({ err: messageOf(error) }, "encryption not looked at");
      }
    }
  }

  async #look(member: Member | undefined, changed: () => void): Promise<void> {
    const { kernel, applier, findings, hostname, clock, log } = this.deps;
    const kind = kernel.encryptionKind();
    if (JSON.stringify(kind) !== JSON.stringify(this.#kind)) {
      log.info({ kind }, "encryption");
      this.#kind = kind;
      changed();
    }
    const held = member?.held.current;
    const nodeId = member?.record.nodeId;
    const networks = (held?.networks ?? []).filter(isEncrypted);
    const ids = new Set(networks.map(({ id }) => id));
    const on = (held?.endpoints ?? []).filter(({ networkId }) => ids.has(networkId));
    const here = new Set(on.filter((each) => each.nodeId === nodeId).map((each) => each.networkId));
    const others = new Set(
      on.filter((each) => here.has(each.networkId)).map((each) => each.nodeId),
    );
    const view = {
      nowMs: clock.nowMs(),
      hostname,
      networks: networks.filter(({ id }) => here.has(id)).map(({ id, spec }) => spec?.name ?? id),
      impossible: typeof kind === "object" ? kind.impossible : undefined,
      peers: (held?.peers ?? [])
        .filter((peer) => others.has(peer.nodeId))
        .map((peer) => ({
          nodeId: peer.nodeId,
          hostname: peer.hostname || peer.nodeId,
          publicKey: Buffer.from(peer.wireguardKey ?? []).toString("base64"),
        })),
      have: here.size === 0 ? undefined : await kernel.wireguard(),
      problem: applier.problems().get(WIREGUARD),
    };
    findings.report(SOURCE, encryptionFindings(view, this.#watch));
  }
}
