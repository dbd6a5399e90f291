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
import type { Container, ContainerSpec, ContainerState, EndpointWish } from "../seams.js";

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
  /** What the swarm gave; undefined: not answered yet. */
  readonly given: { readonly endpoint: Endpoint; readonly network: Network } | undefined;
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
}

export type Step =
  | { readonly kind: "prepare"; readonly endpoints: readonly EndpointRecord[] }
  | {
      readonly kind: "given";
      readonly endpointId: string;
      readonly endpoint: Endpoint;
      readonly network: Network;
    }
  | { readonly kind: "launch" }
  | { readonly kind: "ran"; readonly pid: number; readonly atMs: number }
  | {
      readonly kind: "ended";
      readonly exitCode: number;
      readonly error: string;
      readonly atMs: number;
    }
  /** The addresses are given back, or the swarm that gave them is gone. */
  | { readonly kind: "released" }
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
      };
    case "given":
      return {
        ...record,
        endpoints: record.endpoints.map((entry) =>
          entry.id === step.endpointId
            ? { ...entry, given: { endpoint: step.endpoint, network: step.network } }
            : entry,
        ),
      };
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
      };
    }
    case "released":
      return { ...record, endpoints: [] };
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
      return phase === "preparing" && record.endpoints.some(({ id }) => id === step.endpointId);
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

export function toContainer(record: ContainerRecord, sandboxPath: string): Container {
  return {
    id: record.id,
    spec: record.spec,
    state: stateOf(record),
    pid: record.pid,
    exitCode: record.exitCode,
    error: record.error,
    createdAtMs: record.createdAtMs,
    startedAtMs: record.startedAtMs,
    finishedAtMs: record.finishedAtMs,
    endpoints: record.endpoints.flatMap(({ given }) => (given === undefined ? [] : [given])),
    sandboxPath: isActive(record) ? sandboxPath : "",
  };
}
