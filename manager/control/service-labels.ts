// Labels of a service that mean something here: how it is reached. All others are a person's own.
import { type Refusal, refuse } from "../../common/fault.js";
import { IngressMode } from "../../proto/gen/dispatcher.js";

const INGRESS_LABEL = "skein.ingress";
const AFFINITY_LABEL = "skein.affinity";

const INGRESS_MODES: Readonly<Record<string, IngressMode>> = {
  preserve: IngressMode.PRESERVE,
  local: IngressMode.LOCAL,
  snat: IngressMode.SNAT,
};
const CLIENT = "client";

export interface ReachLabels {
  readonly ingress: IngressMode;
  readonly affinity: boolean;
}

/** What is not there is the default; what has no meaning was refused, and is the default too. */
export function reachLabels(labels: Readonly<Record<string, string>>): ReachLabels {
  const mode = labels[INGRESS_LABEL];
  const ingress = mode !== undefined && Object.hasOwn(INGRESS_MODES, mode) && INGRESS_MODES[mode];
  return {
    ingress: ingress || IngressMode.PRESERVE,
    affinity: labels[AFFINITY_LABEL] === CLIENT,
  };
}

export function checkReachLabels(labels: Readonly<Record<string, string>>): Refusal | undefined {
  const mode = labels[INGRESS_LABEL];
  if (mode !== undefined && !Object.hasOwn(INGRESS_MODES, mode)) {
    const known = Object.keys(INGRESS_MODES).join(", ");
    return unknownValue(INGRESS_LABEL, mode, `it must be one of ${known}`);
  }
  const affinity = labels[AFFINITY_LABEL];
  if (affinity === undefined || affinity === CLIENT) return undefined;
  return unknownValue(AFFINITY_LABEL, affinity, `it must be "${CLIENT}", or the label left away`);
}

function unknownValue(label: string, value: string, rule: string): Refusal {
  return refuse(
    "invalid-argument",
    `invalid value ${JSON.stringify(value)} of label ${label}: ${rule}`,
  );
}
