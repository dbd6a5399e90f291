// Whether one service can reach another, from what the swarm was told: networks, services, policies.
import { at, items, type Json, text } from "../json.js";
import { allows, type PolicyPort, portText } from "./port.js";

const DENIES = "deny";

export interface Question {
  /** Undefined: everybody. */
  readonly from: Json | undefined;
  readonly to: Json;
  /** Undefined: any port at all. */
  readonly port: PolicyPort | undefined;
}

export interface Known {
  /** Networks that are looked at. */
  readonly networks: readonly Json[];
  readonly policies: readonly Json[];
}

export interface Verdict {
  readonly allowed: boolean;
  readonly network: string;
  readonly why: string;
}

/** One for each network that both are on. */
export function explain(question: Question, known: Known): readonly Verdict[] {
  const shared = known.networks.filter(
    (network) =>
      isOn(question.to, network) && (question.from === undefined || isOn(question.from, network)),
  );
  return shared.map((network) => ({
    network: text(network, "Name"),
    ...judge(question, network, known.policies),
  }));
}

function judge(
  { from, to, port }: Question,
  network: Json,
  policies: readonly Json[],
): Pick<Verdict, "allowed" | "why"> {
  if (text(at(network, "Options"), "skein.policy") !== DENIES) {
    return { allowed: true, why: "the network denies nothing" };
  }
  const about = policies.filter(
    (policy) =>
      text(policy, "NetworkID") === text(network, "Id") &&
      text(policy, "ToID") === text(to, "ID") &&
      [text(from ?? {}, "ID"), ""].includes(text(policy, "FromID")),
  );
  // Without a port the question is whether there is anything at all.
  const found =
    port === undefined ? about : about.filter((policy) => allows(portsOf(policy), port));
  if (found.length > 0) return { allowed: true, why: `policy ${found.map(whatOf).join(", ")}` };
  if (about.length === 0) return { allowed: false, why: "no policy allows it" };
  return {
    allowed: false,
    why: `no policy allows this port; policy ${about.map(whatOf).join(", ")}`,
  };
}

function whatOf(policy: Json): string {
  return `${text(policy, "ID")} (${text(policy, "From")} → ${text(policy, "To")}: ${portsText(policy)})`;
}

export function portsText(policy: Json): string {
  const ports = portsOf(policy);
  return ports.length === 0 ? "all" : ports.map(portText).join(", ");
}

function portsOf(policy: Json): readonly PolicyPort[] {
  return items(policy, "Ports").map((port) => ({
    Protocol: text(port, "Protocol"),
    Port: Number(at(port, "Port") ?? 0),
  }));
}

function isOn(service: Json, network: Json): boolean {
  return items(service, "Spec", "TaskTemplate", "Networks").some(
    (each) => text(each, "Target") === text(network, "Id"),
  );
}
