// A container's life, as one value that only grows. What happened is a Step; `advance` says what the
// container is after it. Nothing here knows processes, disks or clocks.
//
//   created ─ prepare → preparing ─ launch → starting ─ ran → running ─ ended → ended ┐
//                └──────── ended (start failed) ───┴──────────────────────→           │
//   ended ─ prepare → preparing of the next life                                      │
//   created, ended ─ remove → removing                                          ←─────┘
//
// A start begins a new life with the next number; within a life phases only go forward. So (life,
// phase) orders everything that is ever written of a container, and an older record never replaces a
// newer one.
import { assert, unreachable } from "../../common/fault.js";
import type { Endpoint, Network } from "../../proto/gen/types.js";
import type {
  Container,
  ContainerSpec,
  ContainerState,
  EndpointWish,
  Health,
  Limits,
  MountPoint,
  PublishedPort,
  RestartRule,
} from "../seams.js";

export type Phase = "created" | "preparing" | "starting" | "running" | "ended" | "removing";

const ORDER: Readonly<Record<Phase, number>> = {
  created: 0,
  preparing: 1,
  starting: 2,
  running: 3,
  ended: 4,
  removing: 5,
};

/** An endpoint that was asked for in this life. Its id is chosen and on disk before anyone is asked. */
export interface EndpointRecord {
  readonly id: string;
  readonly wish: EndpointWish;
  readonly interfaceName: string;
  /** "gateway": of docker_gwbridge, the way out of a container whose networks are the swarm's. Absent: "swarm". */
  readonly via?: "swarm" | "local" | "gateway";
  /** What was given; undefined: not answered yet. */
  readonly given: { readonly endpoint: Endpoint; readonly network: Network } | undefined;
  /** What is published through it; only of this node's own networks. */
  readonly ports?: readonly PublishedPort[];
}

/** Asked of the swarm, and to be given back to it: neither this node's own, nor a task's. */
export function isAttached(entry: EndpointRecord): boolean {
  return isOfSwarm(entry) && entry.wish.assigned === undefined;
}

export function isOfSwarm({ via }: EndpointRecord): boolean {
  return via === undefined || via === "swarm";
}

export interface ContainerRecord {
  readonly id: string;
  readonly spec: ContainerSpec;
  readonly createdAtMs: number;
  /** 0: it was never started. */
  readonly life: number;
  readonly phase: Phase;
  readonly endpoints: readonly EndpointRecord[];
  /** 0 unless running. */
  readonly pid: number;
  readonly exitCode: number;
  /** Why it did not start, or what is wrong with it now; a sentence. */
  readonly error: string;
  /** 0: never ran. */
  readonly startedAtMs: number;
  readonly finishedAtMs: number;
  /** Of the image that it was made from; empty for the process runtime. */
  readonly imageId: string;
  readonly mountPoints: readonly MountPoint[];
  /** How often it was started by its restart rule since a person started it. */
  readonly restartCount: number;
  /** A person stopped it: its restart rule knows. */
  readonly stopped: boolean;
  readonly paused: boolean;
  readonly oomKilled: boolean;
}

/** What a record of an earlier release does not have. */
export const RECORD_DEFAULTS = {
  imageId: "",
  mountPoints: [],
  restartCount: 0,
  stopped: false,
  paused: false,
  oomKilled: false,
} as const;

export type Step =
  | {
      readonly kind: "prepare";
      readonly endpoints: readonly EndpointRecord[];
      /** Started by its restart rule, not by a person. */
      readonly again?: boolean;
    }
  | {
      readonly kind: "given";
      readonly endpointId: string;
      readonly endpoint: Endpoint;
      readonly network: Network;
      readonly ports?: readonly PublishedPort[];
    }
  /** One more endpoint, or one less, of a container that runs. */
  | { readonly kind: "joining"; readonly endpoint: EndpointRecord }
  | { readonly kind: "left"; readonly endpointId: string }
  | { readonly kind: "launch" }
  | { readonly kind: "ran"; readonly pid: number; readonly atMs: number }
  | {
      readonly kind: "ended";
      readonly exitCode: number;
      readonly error: string;
      readonly atMs: number;
      readonly oomKilled?: boolean;
    }
  /** The addresses are given back; of a container that runs, those of the swarm that is gone. */
  | { readonly kind: "released" }
  | { readonly kind: "made"; readonly imageId: string; readonly mountPoints: readonly MountPoint[] }
  | { readonly kind: "stopped" }
  | { readonly kind: "paused"; readonly paused: boolean }
  | { readonly kind: "rule"; readonly restart: RestartRule }
  | { readonly kind: "limits"; readonly limits: Limits }
  | { readonly kind: "wishes"; readonly endpoints: readonly EndpointWish[] }
  | { readonly kind: "rename"; readonly name: string }
  | { readonly kind: "trouble"; readonly error: string }
  | { readonly kind: "remove" };

export function newRecord(id: string, spec: ContainerSpec, nowMs: number): ContainerRecord {
  return {
    id,
    spec,
    createdAtMs: nowMs,
    life: 0,
    phase: "created",
    endpoints: [],
    pid: 0,
    exitCode: 0,
    error: "",
    startedAtMs: 0,
    finishedAtMs: 0,
    ...RECORD_DEFAULTS,
  };
}

/** A step that the phase does not allow is a bug of the caller, which has to look first. */
export function advance(record: ContainerRecord, step: Step): ContainerRecord {
  assert(allowed(record, step), `${step.kind} of a container that is ${record.phase}`);
  switch (step.kind) {
    case "prepare":
      return {
        ...record,
        life: record.life + 1,
        phase: "preparing",
        endpoints: step.endpoints,
        error: "",
        restartCount: step.again === true ? record.restartCount + 1 : 0,
        stopped: false,
      };
    case "given":
      return {
        ...record,
        endpoints: record.endpoints.map((entry) =>
          entry.id === step.endpointId
            ? {
                ...entry,
                given: { endpoint: step.endpoint, network: step.network },
                ...(step.ports === undefined ? {} : { ports: step.ports }),
              }
            : entry,
        ),
      };
    case "joining":
      return { ...record, endpoints: [...record.endpoints, step.endpoint] };
    case "left":
      return { ...record, endpoints: record.endpoints.filter(({ id }) => id !== step.endpointId) };
    case "launch":
      return { ...record, phase: "starting" };
    case "ran":
      return {
        ...record,
        phase: "running",
        pid: step.pid,
        exitCode: 0,
        startedAtMs: step.atMs,
        finishedAtMs: 0,
        oomKilled: false,
      };
    case "ended": {
      // What never ran has no time of finishing, as in Docker; an earlier life's stays.
      const ran = record.phase === "running";
      return {
        ...record,
        phase: "ended",
        pid: 0,
        exitCode: step.exitCode,
        error: step.error,
        finishedAtMs: ran ? step.atMs : record.finishedAtMs,
        paused: false,
        oomKilled: step.oomKilled === true,
      };
    }
    case "released": {
      const stay = record.phase === "running" ? record.endpoints.filter((e) => !isOfSwarm(e)) : [];
      return { ...record, endpoints: stay };
    }
    case "made":
      return { ...record, imageId: step.imageId, mountPoints: step.mountPoints };
    case "stopped":
      return { ...record, stopped: true };
    case "paused":
      return { ...record, paused: step.paused };
    case "rule":
      return { ...record, spec: { ...record.spec, restart: step.restart } };
    case "limits":
      return { ...record, spec: { ...record.spec, limits: step.limits } };
    case "wishes":
      return {
        ...record,
        spec: { ...record.spec, endpoints: step.endpoints, networkMode: "networks" },
      };
    case "rename":
      return { ...record, spec: { ...record.spec, name: step.name } };
    case "trouble":
      return { ...record, error: step.error };
    case "remove":
      return { ...record, phase: "removing" };
    default:
      return unreachable(step);
  }
}

export function allowed(record: ContainerRecord, step: Step): boolean {
  const { phase } = record;
  switch (step.kind) {
    case "prepare":
      return (phase === "created" || phase === "ended") && record.endpoints.length === 0;
    case "given":
      return (
        (phase === "preparing" || phase === "running") &&
        record.endpoints.some(({ id }) => id === step.endpointId)
      );
    case "joining":
      return phase === "preparing" || phase === "running";
    case "left":
    case "paused":
      return phase === "running";
    case "made":
      return phase === "created";
    case "stopped":
    case "rule":
    case "limits":
    case "wishes":
      return phase !== "removing";
    case "launch":
      return phase === "preparing";
    case "ran":
      return phase === "starting";
    case "ended":
      return phase === "preparing" || phase === "starting" || phase === "running";
    case "released":
      return phase === "ended" || phase === "removing" || phase === "running";
    case "trouble":
      return phase === "running";
    case "rename":
      return phase !== "removing";
    case "remove":
      return phase === "created" || phase === "ended";
    default:
      return unreachable(step);
  }
}

/** Negative when `a` was before `b`. */
export function compareAge(a: ContainerRecord, b: ContainerRecord): number {
  // Removal ends all lives, so it is later than any of them.
  const removing = Number(a.phase === "removing") - Number(b.phase === "removing");
  return removing || a.life - b.life || ORDER[a.phase] - ORDER[b.phase];
}

export function stateOf(record: ContainerRecord): ContainerState {
  switch (record.phase) {
    case "running":
      return record.paused ? "paused" : "running";
    case "removing":
    case "created":
      return record.phase;
    case "preparing":
    case "starting":
    case "ended":
      // Docker shows what failed to start, or has not yet, as it was before.
      return record.startedAtMs === 0 ? "created" : "exited";
    default:
      return unreachable(record.phase);
  }
}

/** Whether somebody is at work on it or a process of it may exist. */
export function isActive(record: ContainerRecord): boolean {
  return record.phase === "preparing" || record.phase === "starting" || record.phase === "running";
}

/** What is known of it in memory only. */
export interface Living {
  readonly sandboxPath: string;
  /** It has ended, and its restart rule is about to start it again. */
  readonly restarting: boolean;
  readonly health: Health | undefined;
}

export function toContainer(record: ContainerRecord, living: Living): Container {
  const state = stateOf(record);
  return {
    id: record.id,
    spec: record.spec,
    state: living.restarting && state !== "running" && state !== "removing" ? "restarting" : state,
    pid: record.pid,
    exitCode: record.exitCode,
    error: record.error,
    createdAtMs: record.createdAtMs,
    startedAtMs: record.startedAtMs,
    finishedAtMs: record.finishedAtMs,
    endpoints: record.endpoints.flatMap(({ given, via }) =>
      given === undefined || via === "gateway" ? [] : [given],
    ),
    sandboxPath: isActive(record) ? living.sandboxPath : "",
    imageId: record.imageId,
    restartCount: record.restartCount,
    oomKilled: record.oomKilled,
    health: record.phase === "running" ? living.health : undefined,
    ports: record.endpoints.flatMap(({ ports = [] }) => ports),
    mountPoints: record.mountPoints,
  };
}
