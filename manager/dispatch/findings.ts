// What the leader knows to be wrong in the swarm: nodes that are away, managers that do not answer, clocks that differ,
// pools of addresses that run out. What is wrong on a node its agent says.
import { contains, type Prefix, parsePrefix, sizeOf } from "../../common/address.js";
import type { Finding } from "../../proto/gen/control.js";
import { type Network, type Node, NodeState, Role } from "../../proto/gen/types.js";
import { behind } from "../ca/root-rotation.js";
import type { StoreView } from "../store/view.js";

/** About a node, or (with an empty id) about the swarm. */
export type LeaderFinding = Omit<Finding, "sinceMs"> & {
  readonly nodeId: string;
  /** Undefined: it is not written down anywhere. */
  readonly sinceMs?: number;
};

export interface Heard {
  /** How far a node's clock is from the leader's; undefined: not known. */
  clockAheadMs(nodeId: string): number | undefined;
  /** Whether a member of the Raft group answers the leader. */
  answers(raftId: number): boolean;
}

// Choice: TLS and the log bear an hour; a person who compares two logs does not bear three seconds.
const CLOCK_MS = 3_000;
// Choice: "nearly full" while there is still time to do something.
const FREE_PERCENT = 10n;
// Address 0 and the last of an IPv4 subnet, and the gateway.
const RESERVED = { 4: 3n, 6: 2n } as const;

export function leaderFindings(view: StoreView, heard: Heard): LeaderFinding[] {
  const nodes = [...view.nodes()];
  return [
    ...nodes.flatMap((node) => [...awayFindings(node), ...clockFindings(node, heard)]),
    ...managerFindings(nodes, heard),
    ...rotationFindings(view),
    ...[...view.networks()].flatMap((network) => poolFindings(view, network)),
  ];
}

function awayFindings(node: Node): LeaderFinding[] {
  const name = nameOf(node);
  if (node.state === NodeState.DOWN) {
    return [
      {
        nodeId: node.id,
        networkId: "",
        subject: "down",
        ...(node.meta && { sinceMs: node.meta.updatedAtMs }),
        what: `${name} is down${node.message === "" ? "" : `: ${node.message}`}.`,
        where: name,
        remedy: `See whether ${name} runs, whether skein-agent runs there, and whether it reaches the managers' port 2377/tcp. One that does not come back: 'skein node rm --force ${name}'.`,
      },
    ];
  }
  if (!node.silent) return [];
  return [
    {
      nodeId: node.id,
      networkId: "",
      subject: "silent",
      what: `The leader has not heard of ${name} for some beats.`,
      where: name,
      remedy:
        "It may be busy or about to be down; if this stays, look at its load and its network.",
    },
  ];
}

function clockFindings(node: Node, heard: Heard): LeaderFinding[] {
  const aheadMs = heard.clockAheadMs(node.id) ?? 0;
  if (node.state === NodeState.DOWN || Math.abs(aheadMs) < CLOCK_MS) return [];
  const name = nameOf(node);
  const way = aheadMs > 0 ? "ahead of" : "behind";
  return [
    {
      nodeId: node.id,
      networkId: "",
      subject: "clock",
      what: `The clock of ${name} is ${Math.round(Math.abs(aheadMs) / 1000)} s ${way} the leader's.`,
      where: name,
      remedy: `Let both be set by the same time server (timedatectl, chronyc tracking). Certificates are refused when the difference comes near an hour.`,
    },
  ];
}

function managerFindings(nodes: readonly Node[], heard: Heard): LeaderFinding[] {
  const members = nodes.filter((node) => node.manager !== undefined);
  const silent = members.filter(({ manager }) => !heard.answers(manager?.raftId ?? 0));
  const wanted = nodes.filter((node) => node.spec?.role === Role.MANAGER);
  const findings = silent.map((node): LeaderFinding => {
    const name = nameOf(node);
    return {
      nodeId: node.id,
      networkId: "",
      subject: "manager",
      what: `The manager on ${name} does not answer the leader.`,
      where: `${name} (${node.manager?.addr ?? ""})`,
      remedy: `See whether skein-manager runs there and whether port 2377/tcp is open between the managers. One that does not come back: 'skein node demote ${name}'.`,
    };
  });
  const answering = members.length - silent.length;
  const quorum = Math.floor(members.length / 2) + 1;
  if (silent.length > 0 && answering === quorum) {
    findings.push(
      ofSwarm(
        "quorum",
        `${answering} of ${members.length} managers answer: if one more fails, the swarm cannot be changed.`,
        "Bring the others back, or promote another node and demote those that are gone.",
      ),
    );
  }
  if (wanted.length === 2) {
    findings.push(
      ofSwarm(
        "two managers",
        "There are two managers: if either fails, the swarm cannot be changed.",
        "Promote a third node, or demote one.",
      ),
    );
  }
  return findings;
}

/** Of the nodes that are not there: the others need a second or two. */
function rotationFindings(view: StoreView): LeaderFinding[] {
  const rotation = view.cluster()?.rootRotation;
  if (rotation === undefined) return [];
  return behind(view)
    .filter((node) => node.state !== NodeState.READY)
    .map((node) => {
      const name = nameOf(node);
      return {
        nodeId: node.id,
        networkId: "",
        subject: "root rotation",
        sinceMs: rotation.startedAtMs,
        what: `The rotation of the root certificate waits for ${name}, which is not there to take a new certificate.`,
        where: name,
        remedy: `Start ${name}: it still comes in with the certificate that it has. Or remove it ('skein node rm --force ${name}'), and the rotation ends without it.`,
      };
    });
}

function ofSwarm(subject: string, what: string, remedy: string): LeaderFinding {
  return { nodeId: "", networkId: "", subject, what, where: "the swarm", remedy };
}

function poolFindings(view: StoreView, network: Network): LeaderFinding[] {
  const subnets = network.subnets.flatMap(({ cidr, ipRange }) => {
    const prefix = parsePrefix(ipRange || cidr);
    return prefix === undefined ? [] : [{ cidr, prefix, used: 0n }];
  });
  const wide = (prefix: Prefix) => prefix.ip.family === 6 && prefix.length < 112;
  const narrow = subnets.filter(({ prefix }) => !wide(prefix));
  if (narrow.length === 0 || network.leaving) return [];
  const [fewest = 0n] = narrow.map(({ prefix }) => sizeOf(prefix)).sort((a, b) => (a < b ? -1 : 1));
  let endpoints = BigInt(view.restingCount(network.id)) + RESERVED[4];
  for (const _ of view.endpointsOn(network.id)) endpoints++;
  // Far from it: nothing needs to be read.
  if ((fewest - endpoints) * 100n >= fewest * FREE_PERCENT) return [];
  const taken = [...view.endpointsOn(network.id)].flatMap(({ ipv4, ipv6 }) => [ipv4, ipv6]);
  for (const text of taken) {
    const ip = parsePrefix(text)?.ip;
    const subnet = ip && narrow.find(({ prefix }) => contains(prefix, ip));
    if (subnet) subnet.used++;
  }
  const name = network.spec?.name ?? network.id;
  const resting = view.restingCount(network.id);
  return ([4, 6] as const).flatMap((family) => {
    const of = narrow.filter(({ prefix }) => prefix.ip.family === family);
    if (
      of.length === 0 ||
      subnets.some(({ prefix }) => prefix.ip.family === family && wide(prefix))
    )
      return [];
    const size = of.reduce((sum, { prefix }) => sum + sizeOf(prefix) - RESERVED[family], 0n);
    const used = of.reduce((sum, subnet) => sum + subnet.used, 0n);
    const free = size - used - BigInt(resting);
    if (free * 100n >= size * FREE_PERCENT) return [];
    const rest = resting === 0 ? "" : `, ${resting} given back lately and resting`;
    const cidrs = of.map(({ cidr }) => cidr).join(" and ");
    const some =
      free <= 0n
        ? `No address of ${cidrs} is free`
        : `${free} of the ${size} addresses of ${cidrs} ${free === 1n ? "is" : "are"} free`;
    const finding: LeaderFinding = {
      nodeId: "",
      networkId: network.id,
      subject: `pool ${network.id} ${family}`,
      what: `${some} (${used} in use${rest}).`,
      where: `network ${name}`,
      remedy: `Remove what is not needed ('skein network inspect -v ${name}' shows who has them), or make a network with a larger subnet and move services over.`,
    };
    return [finding];
  });
}

function nameOf(node: Node): string {
  return node.description?.hostname || node.id;
}
