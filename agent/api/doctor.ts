// GET /skein/v1/doctor: what is wrong. A manager asks every node, through the leader; a worker knows its own.
import { isRefusal } from "../../common/fault.js";
import type { Finding as FindingMessage, NodeCheck } from "../../proto/gen/control.js";
import { NO_LEADER, workerNotManager } from "../member/words.js";
import type { Finding } from "../seams.js";
import { type Answer, json } from "./answer.js";
import { type Call, queryNumber, queryText } from "./call.js";
import { badRequest, httpErrorOf } from "./http-error.js";
import { isManagerNow, listNodes, manager } from "./manager.js";
import { findNetwork, idOf, nameOf } from "./network-view.js";
import { check } from "./probe.js";
import { goTime } from "./times.js";

// Choices: an agent answers at once or is in trouble; and nobody waits longer than a minute.
const TIMEOUT_MS = 5_000;
const TIMEOUT_MS_MAX = 60_000;

interface NodePage {
  readonly ID: string;
  Hostname: string;
  DataPath: { Wish: string; Path: string; Why: readonly string[] } | null;
  /** Why it said nothing itself. */
  Error: string;
  readonly Findings: object[];
}

export async function doctor(call: Call): Promise<Answer> {
  const ref = queryText(call, "network");
  const timeoutMs = queryNumber(call, "timeout", TIMEOUT_MS);
  if (timeoutMs < 1 || timeoutMs > TIMEOUT_MS_MAX) {
    throw badRequest(`timeout ${timeoutMs} is not between 1 and ${TIMEOUT_MS_MAX} milliseconds`);
  }
  const network = ref === "" ? undefined : await findNetwork(call, ref);
  if (network?.kind === "local")
    throw badRequest(`${nameOf(network)} is not a network of the swarm`);
  const networkId = network === undefined ? "" : idOf(network);
  const own = ownPage(call, networkId);
  const seen = await swarmPages(call, own, networkId, timeoutMs);
  return json({
    Node: own.Hostname,
    Network: network === undefined ? "" : nameOf(network),
    ...seen,
  });
}

function ownPage({ node }: Call, networkId: string): NodePage {
  const { hostname, dataPath } = node.host();
  const findings = node
    .findings()
    .filter((each) => networkId === "" || (each.networkId ?? networkId) === networkId);
  return {
    ID: node.membership.status().nodeId,
    Hostname: hostname,
    DataPath: { Wish: dataPath.wish, Path: dataPath.path, Why: dataPath.why },
    Error: "",
    Findings: findings.map((each) => findingJson(each, false)),
  };
}

interface Seen {
  /** Whether the whole swarm was asked; if not, `Note` says why. */
  readonly Whole: boolean;
  readonly Note: string;
  readonly Nodes: readonly NodePage[];
  /** About the swarm, and no single node. */
  readonly Findings: readonly object[];
}

async function swarmPages(
  call: Call,
  own: NodePage,
  networkId: string,
  timeoutMs: number,
): Promise<Seen> {
  const { node } = call;
  const alone = (note: string) => ({ Whole: false, Note: note, Nodes: [own], Findings: [] });
  if (!isManagerNow(node)) return alone(whyAlone(call));
  try {
    const client = await manager(call);
    const { nodes } = await listNodes(call);
    const names = new Map(nodes.map(({ id, description }) => [id, description?.hostname || id]));
    const pages = new Map([[own.ID, own]]);
    const findings: object[] = [];
    for await (const each of check(client, { networkId, timeoutMs }, call.signal)) {
      if (each.nodeId === "") findings.push(...each.findings.map((f) => findingJson(f, true)));
      else add(pages, each, own, names);
    }
    const sorted = [...pages.values()].sort((a, b) => (a.Hostname < b.Hostname ? -1 : 1));
    return { Whole: true, Note: "", Nodes: sorted, Findings: findings };
  } catch (error) {
    if (call.signal.aborted) throw error;
    // A swarm that cannot be asked is when a person most wants to know what this node knows.
    return {
      ...alone("The swarm could not be asked; this is what this node knows of itself."),
      Findings: [noSwarmJson(httpErrorOf(error).sentence, call.clock.nowMs())],
    };
  }
}

function add(
  pages: Map<string, NodePage>,
  each: NodeCheck,
  own: NodePage,
  names: ReadonlyMap<string, string>,
): void {
  const page = pages.get(each.nodeId) ?? {
    ID: each.nodeId,
    Hostname: names.get(each.nodeId) ?? each.nodeId,
    DataPath: null,
    Error: "",
    Findings: [],
  };
  pages.set(each.nodeId, page);
  // What this node says of itself was asked here, whatever the leader could hear of it.
  if (page === own && !each.fromLeader) return;
  if (each.error !== "") page.Error = each.error;
  if (each.dataPath) {
    const { wish, path, why } = each.dataPath;
    page.DataPath = { Wish: wish, Path: path, Why: why };
  }
  page.Findings.push(...each.findings.map((finding) => findingJson(finding, each.fromLeader)));
}

function whyAlone({ node }: Call): string {
  const { state } = node.membership.status();
  if (state === "inactive") return "This node is in no swarm.";
  const refusal = node.membership.control();
  const isWorker = isRefusal(refusal) && refusal.message === workerNotManager().message;
  const whole = "'skein doctor' on a manager shows the whole swarm";
  if (isWorker) return `This node is a worker and knows of itself alone; ${whole}.`;
  return `This node's manager does not answer, so this is what the node knows of itself; ${whole}.`;
}

function findingJson(
  finding: (Finding & { readonly sinceMs: number }) | FindingMessage,
  fromLeader: boolean,
): object {
  return {
    Subject: finding.subject,
    What: finding.what,
    Where: finding.where,
    Remedy: finding.remedy,
    Since: goTime(finding.sinceMs),
    NetworkID: finding.networkId ?? "",
    By: fromLeader ? "leader" : "node",
  };
}

function noSwarmJson(why: string, nowMs: number): object {
  const isAlone = why === NO_LEADER;
  return {
    Subject: isAlone ? "swarm" : "manager",
    What: why,
    Where: isAlone ? "the swarm" : "this node's manager",
    Remedy: isAlone
      ? "Bring back enough managers: more than half of them must run and reach each other on port 2377/tcp ('skein swarm status')."
      : "Ask another manager, if there is one: 'skein doctor' there shows how the swarm is without this one.",
    Since: goTime(nowMs),
    NetworkID: "",
    By: "node",
  };
}
