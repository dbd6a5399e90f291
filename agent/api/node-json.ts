// A node of the swarm ↔ Docker's Node and NodeSpec (engine-api.yaml).
import {
  Availability,
  type Cluster,
  type Node,
  type NodeDescription,
  type NodeSpec,
  NodeState,
  Role,
} from "../../proto/gen/types.js";
import { tlsInfoJson } from "./cluster-json.js";
import { badRequest } from "./http-error.js";
import { type JsonObject, labelsIn, textIn } from "./json.js";
import { goTime } from "./times.js";

export interface NodeContext {
  readonly leaderNodeId: string;
  /** For the trust root, which is the swarm's. */
  readonly cluster: Cluster | undefined;
}

export function nodeJson(node: Node, context: NodeContext): object {
  const status = {
    State: stateWord(node.state),
    ...(node.message === "" ? {} : { Message: node.message }),
    Addr: node.addr,
  };
  return {
    ID: node.id,
    Version: { Index: node.meta?.version ?? 0 },
    CreatedAt: goTime(node.meta?.createdAtMs ?? 0),
    UpdatedAt: goTime(node.meta?.updatedAtMs ?? 0),
    Spec: specJson(node.spec),
    Description: {
      ...descriptionJson(node.description),
      TLSInfo: tlsInfoJson(
        context.cluster?.rootCaCert ?? new Uint8Array(),
        node.certIssuerSubject,
        node.certIssuerPublicKey,
      ),
    },
    Status: status,
    ...managerJson(node, context.leaderNodeId),
  };
}

function specJson(spec: NodeSpec | undefined): object {
  return {
    ...(spec?.name ? { Name: spec.name } : {}),
    Labels: spec?.labels ?? {},
    Role: roleWord(spec?.role ?? Role.WORKER),
    Availability: availabilityWord(spec?.availability ?? Availability.ACTIVE),
  };
}

function descriptionJson(description: NodeDescription | undefined): object {
  const labels = description?.engineLabels ?? {};
  return {
    Hostname: description?.hostname ?? "",
    Platform: {
      Architecture: description?.platform?.architecture ?? "",
      OS: description?.platform?.os ?? "",
    },
    Resources: {
      NanoCPUs: description?.nanoCpus ?? 0,
      MemoryBytes: description?.memoryBytes ?? 0,
    },
    Engine: {
      EngineVersion: description?.engineVersion ?? "",
      ...(Object.keys(labels).length > 0 ? { Labels: labels } : {}),
      Plugins: (description?.plugins ?? []).map(({ type, name }) => ({ Type: type, Name: name })),
    },
  };
}

function managerJson(node: Node, leaderNodeId: string): object {
  if (!node.manager) return {};
  return {
    ManagerStatus: {
      ...(node.id === leaderNodeId ? { Leader: true } : {}),
      Reachability: reachability(node.state),
      Addr: node.manager.addr,
    },
  };
}

// The manager's own word on its members is their session, which is what the state says.
function reachability(state: NodeState): string {
  if (state === NodeState.READY) return "reachable";
  return state === NodeState.DOWN ? "unreachable" : "unknown";
}

export function nodeSpecFromJson(json: JsonObject): NodeSpec {
  return {
    name: textIn(json, "Name"),
    labels: labelsIn(json),
    role: parseRole(textIn(json, "Role")),
    availability: parseAvailability(textIn(json, "Availability")),
  };
}

function parseRole(word: string): Role {
  if (word === "manager") return Role.MANAGER;
  if (word === "worker") return Role.WORKER;
  throw badRequest(`invalid Role: "${word}"`);
}

/** An empty word is "active" where Docker takes it so (init, join). */
export function parseAvailability(word: string, absent?: Availability): Availability {
  if (word === "" && absent !== undefined) return absent;
  if (word === "active") return Availability.ACTIVE;
  if (word === "pause") return Availability.PAUSE;
  if (word === "drain") return Availability.DRAIN;
  throw badRequest(`invalid Availability: "${word}"`);
}

export function roleWord(role: Role): string {
  return role === Role.MANAGER ? "manager" : "worker";
}

function availabilityWord(availability: Availability): string {
  if (availability === Availability.PAUSE) return "pause";
  return availability === Availability.DRAIN ? "drain" : "active";
}

function stateWord(state: NodeState): string {
  if (state === NodeState.READY) return "ready";
  if (state === NodeState.DOWN) return "down";
  return state === NodeState.DISCONNECTED ? "disconnected" : "unknown";
}
