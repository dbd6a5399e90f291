// Placement constraints: "node.labels.zone == east". Which nodes a task may go to, as a person wrote it.
// Words, keys and the comparison that ignores case are SwarmKit's (manager/constraint).
import {
  contains,
  formatIp,
  type Ip,
  type Prefix,
  parseIp,
  parsePrefix,
} from "../../common/address.js";
import { isRefusal, type Refusal, refuse } from "../../common/fault.js";
import { type Node, Role } from "../../proto/gen/types.js";
import { normalArchitecture, normalOs } from "./platform.js";

export interface Constraint {
  readonly key: string;
  readonly equal: boolean;
  readonly value: string;
}

const OPERATORS = ["==", "!="] as const;
const KEY = /^[a-z_][a-z0-9\-_.]+$/i;
const VALUE = /^[a-z0-9:\-_\s.*()?+[\]\\^$|/]+$/i;
const NODE_LABEL = "node.labels.";
const ENGINE_LABEL = "engine.labels.";

/** What a request's constraints mean; a refusal names the first that has no meaning. */
export function parseConstraints(texts: readonly string[]): readonly Constraint[] | Refusal {
  const constraints: Constraint[] = [];
  for (const text of texts) {
    const constraint = parseConstraint(text);
    if (isRefusal(constraint)) return constraint;
    constraints.push(constraint);
  }
  return constraints;
}

function parseConstraint(text: string): Constraint | Refusal {
  const operator = OPERATORS.find((each) => text.includes(each));
  if (operator === undefined) {
    const sentence = `constraint expected one operator from ${OPERATORS.join(", ")}`;
    return refuse("invalid-argument", sentence);
  }
  const at = text.indexOf(operator);
  const key = text.slice(0, at).trim();
  const value = text.slice(at + operator.length).trim();
  if (!KEY.test(key)) return refuse("invalid-argument", `key '${key}' is invalid`);
  if (!VALUE.test(value)) return refuse("invalid-argument", `value '${value}' is invalid`);
  return { key, equal: operator === "==", value };
}

export function satisfies(node: Node, constraints: readonly Constraint[]): boolean {
  return constraints.every((constraint) => holds(node, constraint));
}

function holds(node: Node, constraint: Constraint): boolean {
  const key = constraint.key.toLowerCase();
  if (key === "node.ip") return holdsForIp(node, constraint);
  const have = haveOf(node, key, constraint.key);
  // A key that names nothing is satisfied by no node, whatever the operator: it must be a mistake.
  if (have === undefined) return false;
  const want =
    key === "node.platform.arch" ? normalArchitecture(constraint.value) : constraint.value;
  return sameText(have, want) === constraint.equal;
}

/** What the node has under the key; empty: nothing, which is not an error. */
function haveOf(node: Node, key: string, written: string): string | undefined {
  const description = node.description;
  switch (key) {
    case "node.id":
      return node.id;
    case "node.hostname":
      return description?.hostname ?? "";
    case "node.role":
      return node.role === Role.MANAGER ? "manager" : "worker";
    case "node.platform.os":
      return normalOs(description?.platform?.os ?? "");
    case "node.platform.arch":
      return normalArchitecture(description?.platform?.architecture ?? "");
  }
  // The label itself is as it was written: labels know upper and lower case.
  if (key.startsWith(NODE_LABEL) && key.length > NODE_LABEL.length) {
    return node.spec?.labels[written.slice(NODE_LABEL.length)] ?? "";
  }
  if (key.startsWith(ENGINE_LABEL) && key.length > ENGINE_LABEL.length) {
    return description?.engineLabels[written.slice(ENGINE_LABEL.length)] ?? "";
  }
  return undefined;
}

/** An address, or a subnet that the node's address is in. */
function holdsForIp(node: Node, { equal, value }: Constraint): boolean {
  const wanted = parseWanted(value);
  if (wanted === undefined) return false;
  const have = parseIp(node.addr);
  const matches = have !== undefined && isWithin(have, wanted);
  return matches === equal;
}

function parseWanted(value: string): Ip | Prefix | undefined {
  return parseIp(value) ?? parsePrefix(value);
}

function isWithin(have: Ip, wanted: Ip | Prefix): boolean {
  if ("length" in wanted) return contains(wanted, have);
  return formatIp(wanted) === formatIp(have);
}

function sameText(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}
