// What to do about what the kernel would not do, by the sentence that says what it was.
import type { Step } from "../reconcile/step.js";
import type { Finding } from "../seams.js";

const REMEDIES: readonly (readonly [RegExp, string])[] = [
  [
    /data path address .* is on no interface/,
    "Give the address to an interface of this machine again; if it has another one now, leave the swarm and join with --data-path-addr.",
  ],
  [
    /the data path port, is taken/,
    "Stop the program that has the port: 'ss -ulpn' and 'ip -d link show type vxlan' show which.",
  ],
  [
    /^VNI \d+ on UDP port/,
    "Remove that device if nobody needs it ('ip link del'), or make the network anew: it gets another VNI.",
  ],
  [/kernel has no VXLAN/, "Load the module vxlan, or start the agent with --datapath userspace."],
  [/network namespace .* is gone/, "If it is not to come back: 'skein detach' what was put there."],
  [
    /Another program undoes/,
    "Find the program that changes interfaces or rules that are marked as Skein's: a network manager, a firewall daemon or a script.",
  ],
];
const TRIES_AGAIN =
  "The agent goes on trying; its log has each attempt (journalctl -u skein-agent).";

/** Something that was put back although nothing else was wanted. */
export interface RepairSeen {
  readonly step: Step["kind"];
  readonly subject: string;
  readonly what: string;
  readonly times: number;
}

/** `nameOf`: what a person calls the network, endpoint or container of this id. */
export function kernelFinding(
  subject: string,
  why: string,
  nameOf: (id: string) => { readonly name: string; readonly networkId: string } | undefined,
): Finding {
  const named = nameOf(subject);
  return {
    subject,
    what: `The kernel is not as wanted: ${why}`,
    where: named?.name ?? subject,
    remedy: REMEDIES.find(([pattern]) => pattern.test(why))?.[1] ?? TRIES_AGAIN,
    ...(named && { networkId: named.networkId }),
  };
}

/** What somebody else's hand is seen in: rules and rows. Devices are also made anew when the underlay's MTU changes. */
const MEDDLED: ReadonlySet<Step["kind"]> = new Set([
  "change-tables",
  "put-rows",
  "drop-rows",
  "put-neighbours",
  "drop-neighbours",
]);

/** What was changed here by somebody else and put back; undefined: it may have another reason. */
export function repairFinding(
  { step, subject, what, times }: RepairSeen,
  nameOf: (id: string) => { readonly name: string; readonly networkId: string } | undefined,
): Finding | undefined {
  if (!MEDDLED.has(step)) return undefined;
  const named = nameOf(subject);
  const thing =
    step === "change-tables" ? "rules of Skein's packet filter" : "rows of Skein's tables";
  return {
    subject: `${step} ${subject}`,
    what: `Another program changed ${thing}; they were put back ${times === 1 ? "once" : `${times} times`} in the last ten minutes (${what}).`,
    where: named?.name ?? subject,
    remedy: `Find what does it: a firewall that is reloaded with a flush of all rules, a script, a person. 'nft monitor' and 'bridge monitor' show changes as they come.`,
    ...(named && { networkId: named.networkId }),
  };
}

const SWARM_REMEDIES: readonly (readonly [RegExp, string])[] = [
  [/certificate has expired/, "'skein swarm leave --force' here, then join again."],
  [
    /certificate could not be renewed/,
    "Look whether a manager is reached on port 2377/tcp, and at this machine's clock.",
  ],
  [
    /No manager of the swarm answers/,
    "Look whether the managers run and whether port 2377/tcp of any of them is reached from here. What runs goes on running meanwhile.",
  ],
];

/** Of the membership's own problem (SwarmStatus.error). */
export function swarmFinding(problem: string): Finding {
  const remedy = SWARM_REMEDIES.find(([pattern]) => pattern.test(problem))?.[1] ?? "";
  return { subject: "swarm", what: sentence(problem), where: "this node's membership", remedy };
}

function sentence(text: string): string {
  const begun = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}
