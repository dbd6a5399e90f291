// The swarm as a whole: Cluster ↔ Docker's Swarm, ClusterInfo and SwarmSpec (engine-api.yaml).
import { refuse } from "../../common/fault.js";
import { joinTokenOf } from "../../common/join-token.js";
import type { Cluster, ClusterSpec } from "../../proto/gen/types.js";
import { badRequest, HttpError, refusedByManager, unserved } from "./http-error.js";
import { flagIn, type JsonObject, labelsIn, listIn, numberIn, objectIn, textIn } from "./json.js";
import { goTime } from "./times.js";

const NS_PER_MS = 1_000_000;
// What Docker shows of its own Raft; ours ticks by common/timing.ts, and these two are the ratio that
// clients compare (an election after ten heartbeats).
const HEARTBEAT_TICKS = 1;
const ELECTION_TICKS = 10;
// Docker's default (swarmkit), shown for the sake of clients; our log keeps what is needed.
const SLOW_FOLLOWER_ENTRIES = 500;
const TASK_HISTORY_DEFAULT = 5;
const DEFAULT_POOLS = ["10.0.0.0/8"];

export function clusterInfoJson(cluster: Cluster): object {
  return {
    ID: cluster.id,
    Version: { Index: cluster.meta?.version ?? 0 },
    CreatedAt: goTime(cluster.meta?.createdAtMs ?? 0),
    UpdatedAt: goTime(cluster.meta?.updatedAtMs ?? 0),
    Spec: specJson(cluster.spec),
    TLSInfo: tlsInfoJson(cluster.rootCaCert, cluster.issuerSubject, cluster.issuerPublicKey),
    RootRotationInProgress: cluster.rootRotation !== undefined,
    DefaultAddrPool: isDefaultPool(cluster) ? null : cluster.defaultAddrPools,
    SubnetSize: cluster.subnetSize,
    DataPathPort: cluster.dataPathPort,
    // Not Docker's; there while there is something to say.
    ...(cluster.dataPathMove && {
      DataPathMove: { Port: cluster.dataPathMove.port, Sending: cluster.dataPathMove.sending },
    }),
    ...(cluster.dataPathProblem !== "" && { DataPathProblem: cluster.dataPathProblem }),
  };
}

/** With join tokens: only for whoever asks for the swarm itself. */
export function swarmJson(cluster: Cluster): object {
  const token = (secret = "") => joinTokenOf(cluster.rootCaCert, secret);
  return {
    ...clusterInfoJson(cluster),
    JoinTokens: {
      Worker: token(cluster.joinSecrets?.worker),
      Manager: token(cluster.joinSecrets?.manager),
    },
  };
}

export function tlsInfoJson(root: Uint8Array, subject: Uint8Array, publicKey: Uint8Array): object {
  return {
    TrustRoot: Buffer.from(root).toString("utf8"),
    CertIssuerSubject: Buffer.from(subject).toString("base64"),
    CertIssuerPublicKey: Buffer.from(publicKey).toString("base64"),
  };
}

function isDefaultPool(cluster: Cluster): boolean {
  const pools = cluster.defaultAddrPools;
  return pools.length === 0 || (pools.length === 1 && pools[0] === DEFAULT_POOLS[0]);
}

function specJson(spec: ClusterSpec | undefined): object {
  return {
    Name: spec?.name ?? "",
    Labels: spec?.labels ?? {},
    Orchestration: { TaskHistoryRetentionLimit: spec?.taskHistoryLimit ?? 0 },
    Raft: {
      SnapshotInterval: spec?.snapshotInterval ?? 0,
      KeepOldSnapshots: spec?.keepOldSnapshots ?? 0,
      LogEntriesForSlowFollowers: SLOW_FOLLOWER_ENTRIES,
      ElectionTick: ELECTION_TICKS,
      HeartbeatTick: HEARTBEAT_TICKS,
    },
    Dispatcher: { HeartbeatPeriod: (spec?.heartbeatPeriodMs ?? 0) * NS_PER_MS },
    CAConfig: {
      NodeCertExpiry: (spec?.certExpiryMs ?? 0) * NS_PER_MS,
      ...(spec?.forceRotate ? { ForceRotate: spec.forceRotate } : {}),
      // Not Docker's, whose nodes are locked out.
      ...(spec?.expiredRenewalMs !== undefined && {
        AllowExpiredRenewal: spec.expiredRenewalMs * NS_PER_MS,
      }),
    },
    TaskDefaults: {},
    EncryptionConfig: { AutoLockManagers: spec?.autolockManagers ?? false },
  };
}

/** A person who asks for one wants a root of their own: that can be had, with its key on the managers. */
const NO_EXTERNAL_CA =
  "external certificate authorities (--external-ca) are not part of this release of Skein, and nothing was changed: " +
  "the managers sign with the swarm's own root. To make a certificate authority of yours that root, use " +
  "'skein swarm ca --rotate --ca-cert FILE --ca-key FILE'";

// swarmkit's (manager/controlapi/cluster.go), and for what Docker has not, ours.
const NEGATIVE = {
  HeartbeatPeriod: "heartbeat time period cannot be a negative duration",
  NodeCertExpiry: "minimum certificate expiry time is: 1h0m0s",
  AllowExpiredRenewal: "expired renewal cannot be a negative duration",
};

/** What is not said is 0, which the manager reads as its default; so it is for an update, as in Docker. */
export function specFromJson(json: JsonObject): ClusterSpec {
  const ca = objectIn(json, "CAConfig");
  if (listIn(ca, "ExternalCAs").length > 0) throw new HttpError(501, NO_EXTERNAL_CA);
  const raft = objectIn(json, "Raft");
  refuseFixed(raft);
  if (Object.keys(objectIn(objectIn(json, "TaskDefaults"), "LogDriver")).length > 0) {
    throw unserved("a default log driver of tasks is");
  }
  const nanoseconds = (object: JsonObject, key: keyof typeof NEGATIVE) => {
    const asked = numberIn(object, key) ?? 0;
    if (asked < 0) throw refusedByManager(refuse("invalid-argument", NEGATIVE[key]));
    const ms = Math.round(asked / NS_PER_MS);
    // It would be taken for "not said".
    if (asked !== 0 && ms === 0) throw badRequest(`${key} of ${asked} ns is less than 1 ms`);
    return ms;
  };
  return {
    name: textIn(json, "Name"),
    labels: labelsIn(json),
    taskHistoryLimit: counted(
      numberIn(objectIn(json, "Orchestration"), "TaskHistoryRetentionLimit") ??
        TASK_HISTORY_DEFAULT,
      "task history limit",
    ),
    heartbeatPeriodMs: nanoseconds(objectIn(json, "Dispatcher"), "HeartbeatPeriod"),
    certExpiryMs: nanoseconds(ca, "NodeCertExpiry"),
    ...(numberIn(ca, "ForceRotate") && {
      forceRotate: counted(numberIn(ca, "ForceRotate") ?? 0, "number of forced rotations"),
    }),
    ...(numberIn(ca, "AllowExpiredRenewal") !== undefined && {
      expiredRenewalMs: nanoseconds(ca, "AllowExpiredRenewal"),
    }),
    snapshotInterval: counted(numberIn(raft, "SnapshotInterval") ?? 0, "snapshot interval"),
    keepOldSnapshots: counted(numberIn(raft, "KeepOldSnapshots") ?? 0, "number of old snapshots"),
    autolockManagers: flagIn(objectIn(json, "EncryptionConfig"), "AutoLockManagers"),
  };
}

/** Clients send back what they were shown; anything else would be taken and do nothing. */
function refuseFixed(raft: JsonObject): void {
  const fixed = {
    LogEntriesForSlowFollowers: SLOW_FOLLOWER_ENTRIES,
    ElectionTick: ELECTION_TICKS,
    HeartbeatTick: HEARTBEAT_TICKS,
  };
  for (const [key, value] of Object.entries(fixed)) {
    const asked = numberIn(raft, key) ?? 0;
    if (asked !== 0 && asked !== value) {
      throw badRequest(`Raft.${key} cannot be changed: it is ${value}, not ${asked}`);
    }
  }
}

function counted(value: number, what: string): number {
  if (value < 0) throw badRequest(`invalid ${what} ${value}: it cannot be negative`);
  return value;
}

/** The root that an update asks to move to, PEM, with its key; empty: none. */
export function signingCaIn(spec: JsonObject): {
  readonly signingCaCert: Buffer;
  readonly signingCaKey: Buffer;
} {
  const ca = objectIn(spec, "CAConfig");
  const bytes = (key: string) => Buffer.from(textIn(ca, key), "utf8");
  return { signingCaCert: bytes("SigningCACert"), signingCaKey: bytes("SigningCAKey") };
}
