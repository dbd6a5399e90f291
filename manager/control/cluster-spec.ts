// What a swarm's settings may be. A zero means "not said" and becomes Docker's default.
import { type Refusal, refuse } from "../../common/fault.js";
import type { ClusterSpec } from "../../proto/gen/types.js";
import { EXPIRED_RENEWAL_MS } from "../ca/expired.js";
import { checkTexts } from "./names.js";

const HOUR_MS = 3_600_000;

export const DEFAULT_CLUSTER_SPEC: ClusterSpec = {
  name: "default",
  labels: {},
  taskHistoryLimit: 5,
  heartbeatPeriodMs: 5_000,
  certExpiryMs: 90 * 24 * HOUR_MS,
  snapshotInterval: 10_000,
  keepOldSnapshots: 0,
  autolockManagers: false,
  expiredRenewalMs: EXPIRED_RENEWAL_MS,
};

// Choice: below this, beats cost more than they tell; above, a dead node is missed for hours.
const HEARTBEAT_MIN_MS = 100;
const HEARTBEAT_MAX_MS = HOUR_MS;
// swarmkit ca.MinNodeCertExpiration; the certificates are backdated by as much.
const CERT_EXPIRY_MIN_MS = HOUR_MS;
// The root certificate lives 20 years; nothing it signs can be of use for longer.
const CERT_EXPIRY_MAX_MS = 20 * 365 * 24 * HOUR_MS;
// Choice: a machine that was off for ten years is better asked to join again.
const EXPIRED_RENEWAL_MAX_MS = 10 * 365 * 24 * HOUR_MS;
const SNAPSHOT_INTERVAL_MAX = 10_000_000;
const OLD_SNAPSHOTS_MAX = 100;
const TASK_HISTORY_MAX = 10_000;

/** The spec with defaults filled in, or why it cannot be. */
export function completedClusterSpec(spec: ClusterSpec | undefined): ClusterSpec | Refusal {
  if (spec === undefined) return DEFAULT_CLUSTER_SPEC;
  const full: ClusterSpec = {
    ...spec,
    name: spec.name || DEFAULT_CLUSTER_SPEC.name,
    heartbeatPeriodMs: spec.heartbeatPeriodMs || DEFAULT_CLUSTER_SPEC.heartbeatPeriodMs,
    certExpiryMs: spec.certExpiryMs || DEFAULT_CLUSTER_SPEC.certExpiryMs,
    snapshotInterval: spec.snapshotInterval || DEFAULT_CLUSTER_SPEC.snapshotInterval,
    expiredRenewalMs: spec.expiredRenewalMs ?? DEFAULT_CLUSTER_SPEC.expiredRenewalMs,
  };
  return findFault(full) ?? full;
}

function findFault(spec: ClusterSpec): Refusal | undefined {
  if (spec.certExpiryMs < CERT_EXPIRY_MIN_MS) {
    return refuse("invalid-argument", "minimum certificate expiry time is: 1h0m0s");
  }
  return (
    checkTexts("labels", spec.labels) ??
    outside(
      "certificate expiry",
      spec.certExpiryMs,
      CERT_EXPIRY_MIN_MS,
      CERT_EXPIRY_MAX_MS,
      span,
    ) ??
    outside("expired renewal", spec.expiredRenewalMs ?? 0, 0, EXPIRED_RENEWAL_MAX_MS, span) ??
    outside("heartbeat period", spec.heartbeatPeriodMs, HEARTBEAT_MIN_MS, HEARTBEAT_MAX_MS, span) ??
    outside("snapshot interval", spec.snapshotInterval, 1, SNAPSHOT_INTERVAL_MAX) ??
    outside("old snapshots to keep", spec.keepOldSnapshots, 0, OLD_SNAPSHOTS_MAX) ??
    outside("task history limit", spec.taskHistoryLimit, 0, TASK_HISTORY_MAX)
  );
}

type Shown = (value: number) => string;

function outside(what: string, value: number, min: number, max: number, shown: Shown = String) {
  if (value >= min && value <= max) return undefined;
  const bounds = `${shown(min)} and ${shown(max)}`;
  return refuse("invalid-argument", `${what} ${shown(value)} is not between ${bounds}`);
}

/** As a person gives it: the longest unit that is whole. */
function span(ms: number): string {
  if (ms % HOUR_MS === 0) return `${ms / HOUR_MS}h`;
  if (ms % 60_000 === 0) return `${ms / 60_000}m`;
  return ms % 1_000 === 0 ? `${ms / 1_000}s` : `${ms}ms`;
}
