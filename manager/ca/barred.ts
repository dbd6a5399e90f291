// The nodes that were removed: their certificates are good for nothing, though TLS itself would still take them.
// The list is in the log, so each manager knows it as far as it knows anything.
import type { Refusal } from "../../common/fault.js";
import type { Cluster, RemovedNode } from "../../proto/gen/types.js";
import { certLifeMs } from "./cert-life.js";

// Choice: as long as an expired certificate may be of any use by the default policy, and a month for clocks that are
// wrong. An entry too many is a few dozen bytes.
const AFTERWARDS_MS = 60 * 86_400_000;

export function isBarred(cluster: Cluster, nodeId: string): boolean {
  return idsOf(cluster).has(nodeId);
}

/** The cluster with one more such node, and without those whose last certificate is over for good. */
export function barred(cluster: Cluster, nodeId: string, nowMs: number): Cluster {
  const untilMs = nowMs + longestCertLifeMs(cluster) + AFTERWARDS_MS;
  const earlier: readonly RemovedNode[] = [
    ...cluster.removedNodes.map((id) => ({ nodeId: id, untilMs })),
    ...cluster.removed,
  ];
  const lasting = earlier.filter((each) => each.untilMs > nowMs && each.nodeId !== nodeId);
  return { ...cluster, removedNodes: [], removed: [...lasting, { nodeId, untilMs }] };
}

/** Of any certificate that may still be about: the setting may have been longer once. */
export function longestCertLifeMs(cluster: Cluster): number {
  return Math.max(cluster.longestCertLifeMs, certLifeMs(cluster));
}

const REMOVED = "was removed from the swarm; leave the swarm there, then join again";

/** For the node to hear, and the person there. */
export function removedWords(nodeId: string): string {
  return `node ${nodeId} ${REMOVED}`;
}

/** Whether a manager has refused because of that. Who has shown no certificate, or one that is over, is refused as well. */
export function saysRemoved({ code, message }: Refusal): boolean {
  return code === "permission-denied" && message.endsWith(REMOVED);
}

// Asked for every request; a Cluster is never altered, so its list is looked up once.
const ids = new WeakMap<Cluster, ReadonlySet<string>>();

function idsOf(cluster: Cluster): ReadonlySet<string> {
  const known = ids.get(cluster);
  if (known) return known;
  const made = new Set([...cluster.removedNodes, ...cluster.removed.map(({ nodeId }) => nodeId)]);
  ids.set(cluster, made);
  return made;
}
