// What the manager's state costs at the size it is meant for: 5,000 nodes, 1,000 networks, 100,000
// endpoints, and what a new leader begins with. Run `npm run build`, then
// `node --expose-gc dist/bench/store.js [ENDPOINTS] [NETWORKS]`.
import { isRefusal } from "../common/fault.js";
import { seededRandom } from "../common/random.js";
import type { Context } from "../manager/control/context.js";
import { attach, detach } from "../manager/control/endpoint.js";
import { admitNode } from "../manager/control/membership.js";
import { createNetwork } from "../manager/control/network.js";
import { recordNodeSession } from "../manager/control/session.js";
import { affectedNodes } from "../manager/dispatch/affected.js";
import { assignmentsFor } from "../manager/dispatch/assignments.js";
import { Silence } from "../manager/dispatch/silence.js";
import { Affected } from "../manager/orchestrator/affected.js";
import { Scheduler } from "../manager/scheduler/scheduler.js";
import { Store } from "../manager/store/store.js";
import type { Draft } from "../manager/store/view.js";
import { Assignments, AttachRequest } from "../proto/gen/dispatcher.js";
import { Batch } from "../proto/gen/store.js";
import { Availability, NetworkSpec, Role } from "../proto/gen/types.js";
import { firstCluster, heapMib } from "./first-cluster.js";

const ENDPOINTS = Number(process.argv[2] ?? 100_000);
const NETWORKS = Number(process.argv[3] ?? 1_000);
const NODES = Math.ceil(ENDPOINTS / 20);
// As the leader's writer: this many requests share one entry.
const BATCH = 256;

const store = new Store();
const random = seededRandom(1);
let ids = 0;
const ctx: Context = {
  nowMs: 1,
  newId: () => `id${(ids++).toString().padStart(23, "0")}`,
  randomBytes: (length) => random.bytes(length),
};

/** Drafts and applies all requests, a batch to an entry; answers the seconds of processor time it took. */
function write(requests: readonly ((draft: Draft) => unknown)[]): number {
  const start = cpuSeconds();
  for (let at = 0; at < requests.length; at += BATCH) {
    const transactions = store.draft((draft) => {
      for (const request of requests.slice(at, at + BATCH)) {
        const result = draft.attempt(ctx.nowMs, request);
        if (isRefusal(result)) throw new Error(result.message);
      }
      return draft.transactions;
    });
    const data = Batch.encode({ transactions }).finish();
    const refused = store.apply(store.revision + 1, data).find(isRefusal);
    if (refused) throw new Error(refused.message);
  }
  return cpuSeconds() - start;
}

/** Of processor time, which others on the machine do not change: the mean of so many times. */
function meanUs(repeats: number, work: (i: number) => unknown): number {
  const start = cpuSeconds();
  for (let i = 0; i < repeats; i++) work(i);
  return ((cpuSeconds() - start) * 1e6) / repeats;
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

const rows: [string, string][] = [];
const row = (what: string, value: number, unit: string, digits = 0) =>
  rows.push([what, `${value.toFixed(digits)} ${unit}`]);

const emptyMib = heapMib();
const times = <T>(count: number, make: (i: number) => T) =>
  Array.from({ length: count }, (_, i) => make(i));

write([(draft) => firstCluster(draft, ctx)]);
const nodeIds: string[] = [];
const nodesTook = write(
  times(NODES, (i) => (draft: Draft) => {
    const addr = `172.${17 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`;
    const node = admitNode(
      draft,
      {
        role: Role.WORKER,
        hostname: `host${i}`,
        availability: Availability.ACTIVE,
        publicKeyDigest: Buffer.from(`key${i}`),
        remoteAddr: addr,
      },
      { ...ctx, newId: () => `node${i.toString().padStart(21, "0")}` },
    );
    if (isRefusal(node)) return node;
    nodeIds[i] = node.id;
    return recordNodeSession(draft, {
      nodeId: node.id,
      description: undefined,
      addr,
      dataPathAddr: addr,
    });
  }),
);
row("admit a node", NODES / nodesTook, "a second");
const nodesMib = heapMib();
row("- heap for each", ((nodesMib - emptyMib) * 1_024) / NODES, "KiB", 2);
const networksTook = write(
  times(NETWORKS, (i) => (draft: Draft) => {
    const spec = NetworkSpec.fromPartial({ name: `net${i}`, attachable: true });
    return createNetwork(draft, { spec }, ctx);
  }),
);
row("create a network", NETWORKS / networksTook, "a second");
const networksMib = heapMib();
row("- heap for each", ((networksMib - nodesMib) * 1_024) / NETWORKS, "KiB", 2);

// A node's endpoints are on one network, so a network of 100 endpoints is on about five nodes.
const nodeOf = (i: number) =>
  nodeIds[Math.floor((i % NETWORKS) + NETWORKS * Math.floor(i / NETWORKS / 20)) % NODES] ?? "";
const request = (i: number) =>
  AttachRequest.fromPartial({
    endpointId: i.toString(16).padStart(64, "0"),
    network: `net${i % NETWORKS}`,
    name: `c${i}`,
    hostname: `c${i}`,
  });
const attachTook = write(
  times(ENDPOINTS, (i) => (draft: Draft) => attach(draft, request(i), nodeOf(i))),
);
row("attach an endpoint", ENDPOINTS / attachTook, "a second");
const fullMib = heapMib();
row("- heap for each", ((fullMib - networksMib) * 1_024) / ENDPOINTS, "KiB", 2);
row("heap for all of it", fullMib - emptyMib, "MiB");

const sample = (i: number) => nodeIds[(i * 7919) % NODES] ?? "";
row(
  "assignments, full, of one node",
  meanUs(2_000, (i) => assignmentsFor(store.view, sample(i), 0)),
  "us",
  1,
);
const full = assignmentsFor(store.view, sample(1), 0);
row("- rows in it", full.endpoints.length, "endpoints");
row("- size of it", Assignments.encode(full).finish().length / 1024, "KiB", 1);
let affected = 0;
store.changes.subscribe((change) => {
  const nodes = affectedNodes(change, store.view).assignments;
  affected = nodes === "all" ? NODES : nodes.size;
});
const churn = Math.min(ENDPOINTS, 20_000);
const churnTook = write(
  times(churn, (i) => (draft: Draft) => {
    detach(draft, request(i).endpointId, nodeOf(i), 1);
    return attach(draft, request(i), nodeOf(i));
  }),
);
row("detach and attach again", churn / churnTook, "a second");
const since = store.revision;
write([(draft) => detach(draft, request(0).endpointId, nodeOf(0), 1)]);
row("nodes told of one endpoint", affected, "nodes");
row(
  "assignments, delta, of one node",
  meanUs(2_000, () => assignmentsFor(store.view, nodeOf(0), since)),
  "us",
  1,
);

let snapshot: Uint8Array = new Uint8Array();
row("snapshot", meanUs(3, () => (snapshot = store.snapshot())) / 1_000, "ms");
row("- size of it", snapshot.length / 2 ** 20, "MiB", 1);
let longestMs = 0;
const slices = store.snapshotSlices();
for (let isDone = false; !isDone; ) {
  const start = performance.now();
  isDone = slices.next().done === true;
  longestMs = Math.max(longestMs, performance.now() - start);
}
row("- longest slice of it", longestMs, "ms");
row("restore", meanUs(3, () => new Store().restore(snapshot)) / 1_000, "ms");

row(
  "a new leader looks at everything",
  meanUs(5, () => {
    new Silence().begin(store.view.nodes(), 0);
    new Affected().begin(store.view, new Set());
    return new Scheduler(store.view);
  }) / 1_000,
  "ms",
  1,
);
row(
  "- what every node is to be told, in whole",
  meanUs(3, () => {
    for (const id of nodeIds) Assignments.encode(assignmentsFor(store.view, id, 0)).finish();
  }) / 1_000,
  "ms",
);
row(
  "- the same to nodes that followed the leader before",
  meanUs(5, () => {
    for (const id of nodeIds)
      Assignments.encode(assignmentsFor(store.view, id, store.revision)).finish();
  }) / 1_000,
  "ms",
);

console.log(
  `${NODES} nodes, ${NETWORKS} networks, ${ENDPOINTS} endpoints; ${BATCH} requests an entry; processor time\n`,
);
console.log("| what | cost |\n|---|---|");
for (const [what, value] of rows) console.log(`| ${what} | ${value} |`);
