// A node of the swarm ↔ Docker's Node and NodeSpec (engine-api.yaml).
import { trustDigest } from "../../common/certificates.js";
import type { NodeClock } from "../../proto/gen/control.js";
import {
  Availability,
  type Cluster,
  type ExpiredRenewal,
  type Node,
  type NodeDescription,
  type NodeResource,
  type NodeSpec,
  NodeState,
  Role,
} from "../../proto/gen/types.js";
import { tlsInfoJson } from "./cluster-json.js";
import { omitEmpty } from "./go-json.js";
import { badRequest } from "./http-error.js";
import { type JsonObject, labelsIn, textIn } from "./json.js";
import { goTime } from "./times.js";

export interface NodeContext {
  readonly leaderNodeId: string;
  /** Of the managers' nodes, those whose managers do not answer the leader. */
  readonly unheardManagers: readonly string[];
  /** For the trust root, which is the swarm's. */
  readonly cluster: Cluster | undefined;
  readonly clocks: readonly NodeClock[];
}

const SILENT = "not heard for a moment: new connections go to other nodes";

export function nodeJson(node: Node, context: NodeContext): object {
  const message = node.message || (node.silent ? SILENT : notEncrypting(node.description));
  const status = {
    State: stateWord(node.state),
    ...(message === "" ? {} : { Message: message }),
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
        trustRootOf(node, context.cluster),
        node.certIssuerSubject,
        node.certIssuerPublicKey,
      ),
    },
    Status: status,
    ...managerJson(node, context),
    ...clockJson(context.clocks.find(({ nodeId }) => nodeId === node.id)),
    ...renewalJson(node.expiredRenewal),
  };
}

/** PEM; empty: roots that the swarm has left behind. Of a node that has not said whom it trusts, those of now. */
function trustRootOf(node: Node, cluster: Cluster | undefined): Uint8Array {
  const root = cluster?.rootCaCert ?? new Uint8Array();
  const { trustRootDigest } = node;
  if (trustRootDigest === undefined || trustRootDigest.length === 0) return root;
  const both = Buffer.concat([root, cluster?.rootRotation?.caCert ?? new Uint8Array()]);
  const known = [root, both].find((each) => trustDigest(each).equals(trustRootDigest));
  return known ?? new Uint8Array();
}

/** Ours: how far its clock is ahead of the leader's. */
function clockJson(clock: NodeClock | undefined): object {
  return clock === undefined ? {} : { ClockSkewMs: clock.aheadMs };
}

/** Ours: when the node last came back with a certificate that was over. */
function renewalJson(renewal: ExpiredRenewal | undefined): object {
  if (renewal === undefined) return {};
  const { expiredAtMs, renewedAtMs } = renewal;
  return {
    ExpiredRenewal: { ExpiredAt: goTime(expiredAtMs), RenewedAt: goTime(renewedAtMs) },
  };
}

/** Of a node that has said that it cannot. */
function notEncrypting(description: NodeDescription | undefined): string {
  const problem = description?.wireguard?.problem ?? "";
  return problem === "" ? "" : `no encrypted networks here: ${problem}`;
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
      ...omitEmpty({
        GenericResources: (description?.genericResources ?? []).flatMap(offeredJson),
      }),
    },
    Engine: {
      EngineVersion: description?.engineVersion ?? "",
      ...(Object.keys(labels).length > 0 ? { Labels: labels } : {}),
      Plugins: (description?.plugins ?? []).map(({ type, name }) => ({ Type: type, Name: name })),
    },
    // Ours; Docker has no word for it, and its clients do not mind.
    ...dataPathJson(description),
  };
}

/** As `GET /skein/v1/doctor` shows it; nothing for a node that has not said so. */
function dataPathJson(description: NodeDescription | undefined): object {
  if (description?.dataPath === undefined) return {};
  const { wish, path, why } = description.dataPath;
  return { DataPath: { Wish: wish, Path: path, Why: why } };
}

/** Docker counts those that are alike, and names each of the others. */
export function offeredJson({ kind, value, names }: NodeResource): readonly object[] {
  if (names.length === 0) return [{ DiscreteResourceSpec: { Kind: kind, Value: value } }];
  return names.map((name) => ({ NamedResourceSpec: { Kind: kind, Value: name } }));
}

/** The manager's process, not the agent's session: a node can be ready while its manager is damaged. */
function managerJson(
  node: Node,
  { leaderNodeId, unheardManagers }: Pick<NodeContext, "leaderNodeId" | "unheardManagers">,
): object {
  if (!node.manager) return {};
  return {
    ManagerStatus: {
      ...(node.id === leaderNodeId ? { Leader: true } : {}),
      Reachability: unheardManagers.includes(node.id) ? "unreachable" : "reachable",
      Addr: node.manager.addr,
    },
  };
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
