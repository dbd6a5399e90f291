// What a look at the kernel tells those who wait: which of what was wanted is there, what is still to be done, and what
// cannot be done at all.
import type { Plan } from "./plan.js";
import { FILTER, FORWARDING, subjectOf, tablesSubject } from "./step.js";
import { isHarmless } from "./step-class.js";
import type { HostWant, SandboxRef } from "./want.js";
import { WIREGUARD } from "./wireguard-plan.js";

export interface Finding {
  /** Of the want that it is about: they are counted. */
  readonly generation: number;
  /** What is open now stays open until a pause is over or the want changes. */
  readonly isFinal: boolean;
  /** Endpoints that were wanted → what each depends on, itself included. */
  readonly endpoints: ReadonlyMap<string, readonly string[]>;
  /** Subjects of which something is still to be done. */
  readonly open: Set<string>;
  /** What could not even be planned. */
  readonly hopeless: ReadonlyMap<string, string>;
}

export const NOTHING_FOUND: Finding = {
  generation: 0,
  isFinal: true,
  endpoints: new Map(),
  open: new Set(),
  hopeless: new Map(),
};

export function findingOf(
  want: HostWant,
  { steps, problems }: Plan,
  generation: number,
  isFinal: boolean,
): Finding {
  const open = new Set(steps.filter((step) => !isHarmless(step)).map(subjectOf));
  return { generation, isFinal, endpoints: endpointNeeds(want), open, hopeless: problems };
}

/** By endpoint, the subjects that must be well before it is. */
export function endpointNeeds(want: HostWant): Map<string, readonly string[]> {
  const endpoints = new Map<string, readonly string[]>();
  const bridges = want.local?.bridges ?? [];
  const all = [
    ...want.networks.map((network) => ({
      ...network,
      more: network.encrypted ? [WIREGUARD] : [],
    })),
    ...bridges.map((bridge) => ({ ...bridge, more: [FILTER, FORWARDING] })),
  ];
  for (const { networkId, locals, more } of all) {
    for (const { endpointId, sandbox } of locals) {
      const tables = [tablesSubject(sandbox, "tables"), tablesSubject(sandbox, "hooks")];
      const needs = [endpointId, networkId, ...more, ...tables];
      endpoints.set(endpointId, sandbox.kind === "own" ? [...needs, sandbox.id] : needs);
    }
  }
  return endpoints;
}

/** Where one has to look: sandboxes that something is wanted of, some more than once. */
export function sandboxesOf(want: HostWant): SandboxRef[] {
  const bridges = want.local?.bridges ?? [];
  const locals = [...want.networks, ...bridges].flatMap(({ locals: own }) => own);
  return [...locals, ...(want.tables ?? [])]
    .map(({ sandbox }) => sandbox)
    .filter((sandbox) => sandbox.kind !== "network");
}
