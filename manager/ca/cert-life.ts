// How long certificates are given for.
import type { Cluster } from "../../proto/gen/types.js";

/** Docker's default: 90 days. Used when `ClusterSpec.cert_expiry_ms` is 0. */
export const CERT_LIFE_MS = 90 * 86_400_000;
/** Docker refuses shorter lives: renewal needs room. */
export const CERT_LIFE_MIN_MS = 3_600_000;

export function certLifeMs(cluster: Cluster): number {
  const wanted = cluster.spec?.certExpiryMs ?? 0;
  return wanted === 0 ? CERT_LIFE_MS : Math.max(wanted, CERT_LIFE_MIN_MS);
}
