// Requests that nobody in their senses makes, as they come off the wire: each is done or refused with a
// sentence, and what was done can be planned, placed, sent to nodes and restored from a snapshot.
import { expect, test } from "vitest";
import { isRefusal } from "../../common/fault.js";
import { type Random, seededRandom } from "../../common/random.js";
import {
  AllowPolicyRequest,
  CreateConfigRequest,
  CreateNetworkRequest,
  CreateSecretRequest,
  CreateServiceRequest,
  UpdateClusterRequest,
  UpdateNodeRequest,
  UpdateServiceRequest,
} from "../../proto/gen/control.js";
import { AttachRequest } from "../../proto/gen/dispatcher.js";
import { TaskState, TaskStatus } from "../../proto/gen/service.js";
import { OrchestratedSwarm } from "../../test/fakes/orchestrated-swarm.js";
import { FIRST_NODE } from "../../test/fakes/swarm-state.js";
import { assignmentsFor } from "../dispatch/assignments.js";
import { Store } from "../store/store.js";
import type { Draft } from "../store/view.js";
import { updateCluster } from "./cluster.js";
import { createConfig } from "./config.js";
import type { Context } from "./context.js";
import { attach } from "./endpoint.js";
import { createNetwork } from "./network.js";
import { updateNode } from "./node.js";
import { allowPolicy } from "./policy.js";
import { createSecret } from "./secret.js";
import { createService, removeService, updateService } from "./service.js";
import { recordReports } from "./task-status.js";

const SEEDS = Number(process.env["SKEIN_SEEDS"] ?? 6);
const REQUESTS = 150;

const TEXTS = [
  ...[
    "",
    "a",
    "web",
    "net",
    "deny",
    "h1",
    "sec",
    "conf",
    "0",
    "..",
    "/",
    "/x",
    "{{",
    "{{.Task.Slot}}",
  ],
  ...["__proto__", "constructor", "\0", "\n", "ä😀", "x".repeat(300), "y".repeat(70_000), "-1"],
  ...["10.0.0.0/8", "10.9.0.0/24", "10.9.0.1", "fd00::/64", "::", "0.0.0.0/0", "1.2.3.4/33"],
  ...["node.labels.a==b", "node.id!=h1", "bind", "volume", "tmpfs", "host", "bridge", "overlay"],
  ...["skein.policy", "allow", "skein.ingress", "local", "skein.affinity", "client", "process"],
];
const NUMBERS = [0, 1, 2, 3, 7, 80, 8_080, 65_535, 65_536, 1e6, 1e9, 2 ** 31, 2 ** 32 - 1];
const HUGE = [2 ** 40, Number.MAX_SAFE_INTEGER, 0.5, 1e308];

const SERVICE = {
  name: "web",
  labels: { a: "b", "skein.ingress": "snat" },
  mode: { $case: "replicated" as const, value: { replicas: 2 } },
  update: { parallelism: 1, delayNs: 1, order: 0, failureAction: 1, monitorNs: 1 },
  rollback: { parallelism: 1 },
  endpoint: { mode: 0, ports: [{ targetPort: 80, publishedPort: 8_080 }, { targetPort: 81 }] },
  task: {
    container: {
      image: "alpine:3",
      env: ["A=b"],
      args: ["sleep", "1"],
      hostname: "{{.Node.Hostname}}",
      mounts: [{ type: "volume", source: "v", target: "/v", labels: { a: "b" } }],
      healthcheck: { test: ["CMD", "true"], intervalNs: 1e9 },
      secrets: [{ secretName: "sec", file: { name: "sec" } }],
      configs: [{ configName: "conf", file: { name: "/conf" } }],
      ulimits: [{ name: "nofile", soft: 1, hard: 2 }],
      sysctls: { "net.ipv4.ip_forward": "1" },
      dns: { nameservers: ["1.1.1.1"] },
    },
    networks: [{ target: "net", aliases: ["alias"] }],
    resources: { limits: { nanoCpus: 1e7 }, reservations: { nanoCpus: 1e7, generic: [] } },
    restart: { condition: 0, delayNs: 1e9, maxAttempts: 3, windowNs: 1e9 },
    placement: { constraints: ["node.role==worker"], spread: ["node.labels.a"], maxReplicas: 2 },
  },
};

/** The same with a few of its parts replaced, taken away, or many times over. */
function wild<T>(random: Random, value: T, depth = 0): T {
  const one = <U>(items: readonly U[]) => items[random.below(items.length)] as U;
  const lucky = random.below(24) === 0;
  if (typeof value === "string") return (lucky ? one(TEXTS) : value) as T;
  if (typeof value === "number") return (lucky ? one([...NUMBERS, ...HUGE]) : value) as T;
  if (typeof value === "boolean") return (lucky ? !value : value) as T;
  if (value === null || typeof value !== "object" || Buffer.isBuffer(value)) return value;
  if (Array.isArray(value)) {
    const items = value.map((item) => wild(random, item, depth + 1));
    if (!lucky || items.length === 0) return items as T;
    return Array.from({ length: one([0, 2, 40, 1_200]) }, () => one(items)) as T;
  }
  const entries = Object.entries(value).map(([key, part]) => [key, wild(random, part, depth + 1)]);
  const kept = entries.filter(() => depth === 0 || random.below(60) > 0);
  return Object.fromEntries(kept) as T;
}

interface Message<T> {
  fromPartial(parts: object): T;
  encode(message: T): { finish(): Uint8Array };
  decode(bytes: Uint8Array): T;
}

/** As it comes off the wire; undefined: it cannot even be sent. */
function request<T>(random: Random, type: Message<T>, parts: object): T | undefined {
  try {
    return type.decode(type.encode(type.fromPartial(wild(random, parts))).finish());
  } catch {
    return undefined;
  }
}

type Ask = (draft: Draft, ctx: Context, random: Random) => unknown;
const asking =
  <T>(
    type: unknown,
    parts: () => object,
    run: (draft: Draft, asked: T, ctx: Context) => unknown,
  ): Ask =>
  (draft, ctx, random) => {
    const asked = request(random, type as Message<T>, parts());
    return asked === undefined ? true : run(draft, asked, ctx);
  };

const ipam = [{ subnet: "10.9.0.0/24", gateway: "10.9.0.1", auxAddresses: { a: "10.9.0.2" } }];
const data = Buffer.from("x");
const version = (object: { meta?: { version: number } | undefined } | undefined) =>
  object?.meta?.version ?? 0;

const ASKS: readonly Ask[] = [
  asking(CreateServiceRequest, () => ({ spec: SERVICE }), createService as never),
  asking(
    CreateServiceRequest,
    () => ({ spec: { ...SERVICE, name: "db" } }),
    createService as never,
  ),
  (draft, ctx, random) => {
    const known = draft.serviceByName("web");
    const parts = { id: known?.id, spec: SERVICE, rollback: random.below(5) === 0 };
    const asked = request(random, UpdateServiceRequest as never, parts) as
      | UpdateServiceRequest
      | undefined;
    return asked && updateService(draft, { ...asked, version: version(known) }, ctx);
  },
  (draft, ctx, random) =>
    random.below(6) > 0 ||
    (removeService(draft, { id: draft.serviceByName("web")?.id ?? "" }, ctx) ?? true),
  asking(
    CreateNetworkRequest,
    () => ({ spec: { name: "x", labels: { a: "b" }, driverOpts: { o: "p" }, ipam, ipv6: false } }),
    createNetwork as never,
  ),
  asking(
    CreateSecretRequest,
    () => ({ spec: { name: "s", labels: { a: "b" }, data } }),
    createSecret as never,
  ),
  asking(
    CreateConfigRequest,
    () => ({ spec: { name: "c", labels: { a: "b" }, data } }),
    createConfig as never,
  ),
  asking<AllowPolicyRequest>(
    AllowPolicyRequest,
    () => ({ network: "deny", from: "web", to: "web", ports: [{ protocol: 1, port: 80 }] }),
    allowPolicy,
  ),
  asking<AttachRequest>(
    AttachRequest,
    () => ({ endpointId: "e", network: "net", name: "n", aliases: ["a"], ipv4: "", hostname: "h" }),
    (draft, asked) => attach(draft, asked, "h1"),
  ),
  (draft, _ctx, random) => {
    const node = draft.node("h2");
    const parts = { id: "h2", spec: { name: "n", labels: { a: "b" }, role: 0, availability: 0 } };
    const asked = request(random, UpdateNodeRequest as never, parts) as
      | UpdateNodeRequest
      | undefined;
    return asked && updateNode(draft, { ...asked, version: version(node) }, () => undefined);
  },
  (draft, _ctx, random) => {
    const cluster = draft.cluster();
    const asked = request(random, UpdateClusterRequest as never, { spec: cluster?.spec }) as
      | UpdateClusterRequest
      | undefined;
    const secrets = { worker: "w", manager: "m", unlockKey: Buffer.alloc(32) };
    return asked && updateCluster(draft, { ...asked, version: version(cluster) }, secrets);
  },
  (draft, ctx, random) => {
    const tasks = [...draft.tasks()];
    const task = tasks[random.below(Math.max(1, tasks.length))];
    const status = request(random, TaskStatus as never, {
      ...{ state: random.below(2) === 0 ? TaskState.RUNNING : random.below(1_000), atMs: 5 },
      ...{
        message: "m",
        err: "",
        containerId: "c",
        pid: 3,
        exitCode: 1,
        ports: [{ targetPort: 1 }],
      },
    }) as TaskStatus | undefined;
    if (task && status) recordReports(draft, task.nodeId, [{ taskId: task.id, status }], ctx.nowMs);
    return true;
  },
];

for (let seed = 1; seed <= SEEDS; seed++) {
  test(`seed ${seed}: whatever is asked is done, or refused with a sentence`, () => {
    const random = seededRandom(seed);
    const swarm = new OrchestratedSwarm(2);
    const { state } = swarm;
    state.network({ name: "net" });
    state.network({ name: "deny", driverOpts: { "skein.policy": "deny" } });
    for (const [name, create] of [
      ["sec", createSecret],
      ["conf", createConfig],
    ] as const) {
      const spec = { name, labels: {}, data, templating: "" };
      state.must((draft) => create(draft, { spec }, state.context));
    }
    let done = 0;
    for (let i = 0; i < REQUESTS; i++) {
      const ask = ASKS[random.below(ASKS.length)] as Ask;
      const answer = state.write((draft) => ask(draft, state.context, random) ?? true);
      if (isRefusal(answer)) expect(answer.message).not.toBe("");
      else done++;
      if (i % 10 === 0) swarm.advance(300);
    }
    expect(done).toBeGreaterThan(REQUESTS / 5);
    const other = new Store();
    other.restore(state.store.snapshot());
    expect(Buffer.compare(other.snapshot(), state.store.snapshot())).toBe(0);
    for (const id of [FIRST_NODE, "h1", "h2"]) {
      expect(assignmentsFor(other.view, id, 0).full).toBe(true);
    }
  });
}
