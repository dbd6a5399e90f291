// What a person should know of encryption on this node: from what is wanted and what the device says of itself.

import type { WireguardPeer } from "../overlay/wireguard.js";
import type { Finding } from "../seams.js";
import type { WireguardHave } from "./wireguard-plan.js";

/** The WireGuard paper, section 6.1 (REJECT_AFTER_TIME): after so long without a handshake nothing passes. */
const HANDSHAKE_MS = 180_000;
// Choice: initiations are repeated every five seconds; three without an answer are no chance.
const TRYING_MS = 15_000;
// Choice: who looks within ten minutes of it hears that something died and was started again.
const DEATH_MS = 600_000;

export interface EncryptionView {
  readonly nowMs: number;
  readonly hostname: string;
  /** Encrypted networks with something of this node's on them; none: there is nothing to say. */
  readonly networks: readonly string[];
  /** Why this node cannot encrypt, as a sentence. */
  readonly impossible: string | undefined;
  /** The other nodes on those networks; `publicKey` is empty where there is none. */
  readonly peers: readonly {
    readonly nodeId: string;
    readonly hostname: string;
    readonly publicKey: string;
  }[];
  readonly have: WireguardHave | undefined;
  /** Why the device is not as it should be, as the applier knows it. */
  readonly problem: string | undefined;
}

/** Remembers since when a peer is being called in vain. */
export class HandshakeWatch {
  readonly #tries = new Map<
    string,
    { readonly sentBytes: number; readonly sinceMs: number | undefined }
  >();

  /** Whether it is being sent to, and has not answered for a while. */
  isInVain(publicKey: string, peer: WireguardPeer, nowMs: number): boolean {
    const before = this.#tries.get(publicKey);
    const { sentBytes } = peer;
    const isStale = nowMs - peer.handshakeMs > HANDSHAKE_MS;
    const isTrying = isStale && before !== undefined && sentBytes > before.sentBytes;
    const sinceMs = isTrying ? (before.sinceMs ?? nowMs) : undefined;
    this.#tries.set(publicKey, { sentBytes, sinceMs });
    return sinceMs !== undefined && nowMs - sinceMs >= TRYING_MS;
  }

  keep(publicKeys: ReadonlySet<string>): void {
    for (const key of this.#tries.keys()) if (!publicKeys.has(key)) this.#tries.delete(key);
  }
}

export function encryptionFindings(
  view: EncryptionView,
  watch: HandshakeWatch,
): readonly Finding[] {
  const { networks, hostname, impossible, problem } = view;
  if (networks.length === 0) return [];
  const names = networks.join(", ");
  if (impossible !== undefined) {
    return [
      {
        subject: "impossible",
        what: `This node cannot encrypt, and nothing passes on ${names}: ${impossible}`,
        where: hostname,
        remedy:
          "Install wireguard-go, or run a kernel with WireGuard; nothing is sent in clear meanwhile.",
      },
    ];
  }
  const findings: Finding[] = [];
  if (problem !== undefined) {
    findings.push({
      subject: "device",
      what: `WireGuard does not work on this node, and nothing passes on ${names}: ${problem}`,
      where: hostname,
      remedy: problem.includes("--wireguard-port")
        ? "Stop the other program, or give skein-agent another --wireguard-port and restart it."
        : "It is tried again and again; the agent's log and wireguard-go.log in its run directory say more.",
    });
  }
  return [...findings, ...deathFindings(view), ...peerFindings(view, watch)];
}

function deathFindings({ nowMs, hostname, have }: EncryptionView): readonly Finding[] {
  const deaths = (have?.deaths ?? []).filter((atMs) => atMs > nowMs - DEATH_MS);
  if (deaths.length === 0) return [];
  return [
    {
      subject: "died",
      what: `WireGuard's device has gone ${deaths.length} ${deaths.length === 1 ? "time" : "times"} within ten minutes and was made again: wireguard-go died, or somebody deleted it.`,
      where: hostname,
      remedy: "wireguard-go.log in the agent's run directory has its last words.",
    },
  ];
}

function peerFindings(
  { nowMs, hostname, have, peers }: EncryptionView,
  watch: HandshakeWatch,
): readonly Finding[] {
  const known = have?.device?.peers ?? new Map<string, WireguardPeer>();
  watch.keep(new Set(known.keys()));
  return peers.flatMap(({ nodeId, hostname: other, publicKey }): readonly Finding[] => {
    const where = `${hostname} → ${other}`;
    if (publicKey === "") {
      const what = `Node ${other} is on an encrypted network and has no WireGuard key: nothing passes to it.`;
      const remedy = `\`skein node inspect ${other}\` says why it cannot encrypt, if it knows.`;
      return [{ subject: `peer ${nodeId} key`, what, where, remedy }];
    }
    const peer = known.get(publicKey);
    if (peer === undefined || !watch.isInVain(publicKey, peer, nowMs)) return [];
    const ago =
      peer.handshakeMs === 0
        ? "there was never a handshake"
        : `the last handshake was ${Math.round((nowMs - peer.handshakeMs) / 60_000)} minutes ago`;
    const what = `Node ${other} does not answer WireGuard at ${peer.endpoint}: ${ago}, and frames are being sent to it.`;
    const remedy = `Let UDP to ${peer.endpoint} through between the two, in both directions.`;
    return [{ subject: `peer ${nodeId} handshake`, what, where, remedy }];
  });
}
