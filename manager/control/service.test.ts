import { describe, expect, test } from "vitest";
import { isRefusal } from "../../common/fault.js";
import {
  EndpointMode,
  PublishMode,
  type Service,
  TaskState,
  UpdateState,
} from "../../proto/gen/service.js";
import {
  changeService,
  makeConfig,
  makeSecret,
  makeService,
  makeTask,
  serviceSpec,
} from "../../test/fakes/services.js";
import { SwarmState, sentenceOf } from "../../test/fakes/swarm-state.js";
import { removeSecret } from "./secret.js";
import { condemnTasks, createService, removeService } from "./service.js";

const PORT = { targetPort: 80, publishedPort: 8080 };
const file = (name: string) => ({ name, uid: "0", gid: "0", mode: 0o444 });

describe("a service is refused", () => {
  const bad = [
    ["without name", { name: "" }, {}, "meta: name must be provided"],
    ["by its name", { name: "bad_name!" }, {}, "name must be valid as a DNS name component"],
    ["by its length", { name: "a".repeat(64) }, {}, "name must be 63 characters or fewer"],
    ["without image", {}, { image: "" }, "ContainerSpec: image reference must be provided"],
    [
      "with an image that is none",
      {},
      { image: "UPPER/case:latest" },
      'ContainerSpec: "UPPER/case:latest" is not a valid repository/tag',
    ],
    [
      "with a capability of no kernel",
      {},
      { capabilityDrop: ["cap_fly"] },
      'invalid CapDrop: unknown capability: "CAP_FLY"',
    ],
    [
      "with two mounts at one place",
      {},
      {
        mounts: [
          { type: "tmpfs", target: "/a" },
          { type: "tmpfs", target: "/a" },
        ],
      },
      "ContainerSpec: duplicate mount point: /a",
    ],
    [
      "with a mount at no place",
      {},
      { mounts: [{ type: "volume", source: "v", target: "a" }] },
      "invalid mount target, must be an absolute path: a",
    ],
    [
      "with a health check that never rests",
      {},
      { healthcheck: { intervalNs: 999_999 } },
      "ContainerSpec: Interval in HealthConfig cannot be less than 1ms",
    ],
    [
      "with a template that does not end",
      {},
      { hostname: "{{.Node.ID" },
      "expanding hostname failed: template: expansion:1: unclosed action",
    ],
    [
      "with a template of what there is not",
      {},
      { env: ["A={{.Nope}}"] },
      `expanding env failed: expanding env "A={{.Nope}}": template: expansion:1:2: executing "expansion" at <.Nope>: can't evaluate field Nope in type template.Context`,
    ],
    [
      "by a constraint",
      { task: { placement: { constraints: ["nonsense"] } } },
      {},
      "constraint expected one operator from ==, !=",
    ],
    [
      "by its processor share",
      { task: { resources: { limits: { nanoCpus: 999_999 } } } },
      {},
      "invalid cpu value 0.000999999: Must be at least 0.001",
    ],
    [
      "by its memory",
      { task: { resources: { reservations: { memoryBytes: 4096 } } } },
      {},
      "invalid memory value 4096: Must be at least 4MiB",
    ],
    [
      "by its update",
      { update: { maxFailureRatio: 1.5 } },
      {},
      "TaskSpec: update-maxfailureratio cannot be less than 0 or bigger than 1",
    ],
    [
      "with ingress ports and dnsrr",
      { endpoint: { mode: EndpointMode.DNSRR, ports: [PORT] } },
      {},
      "EndpointSpec: port published with ingress mode can't be used with dnsrr mode",
    ],
    [
      "with one port twice",
      { endpoint: { ports: [PORT, { ...PORT, targetPort: 81 }] } },
      {},
      "EndpointSpec: duplicate published ports provided",
    ],
    ["without mode", { mode: undefined }, {}, "Unrecognized service mode"],
    [
      "as a job with an update config",
      { mode: { $case: "globalJob", value: {} }, update: { parallelism: 1 } },
      {},
      "job-mode services may not have update configuration",
    ],
    [
      "on a network that is not there",
      { task: { networks: [{ target: "nosuch" }] } },
      {},
      "network nosuch not found",
    ],
    [
      "on the ingress network",
      { task: { networks: [{ target: "ingress" }] } },
      {},
      'Service cannot be explicitly attached to the ingress network "ingress"',
    ],
    [
      "with secrets that are not there",
      {},
      {
        secrets: [
          { secretName: "a", file: file("a") },
          { secretName: "b", file: file("b") },
        ],
      },
      "secrets not found: a, b",
    ],
    [
      "with two configs in one file",
      {},
      {
        configs: [
          { configName: "c1", file: file("f") },
          { configName: "c2", file: file("f") },
        ],
      },
      "config references 'c1' and 'c2' have a conflicting target: 'f'",
    ],
    [
      "under a name that is taken",
      { name: "taken" },
      {},
      "name conflicts with an existing object: service taken already exists",
    ],
    [
      "on a port that is taken",
      { endpoint: { ports: [{ targetPort: 1, publishedPort: 9000 }] } },
      {},
      "port '9000' is already in use by service 'taken' (ID) as an ingress port",
    ],
    [
      "on a port that is published on hosts",
      { endpoint: { ports: [{ targetPort: 1, publishedPort: 9001 }] } },
      {},
      "port '9001' is already in use by service 'taken' (ID) as a host-published port",
    ],
    [
      "as a process without command",
      { task: { runtime: "process" } },
      { image: "" },
      "TaskSpec: a task of runtime process needs a command",
    ],
    [
      "when it is larger than a task may be",
      { labels: { a: "x".repeat(300_000) } },
      {},
      /^the service's spec has 300\d\d\d bytes, which is more than 262144$/,
    ],
  ] as const;
  for (const [name, parts, container, want] of bad) {
    test(name, () => {
      const swarm = new SwarmState();
      const { HOST: publishMode } = PublishMode;
      const ports = [
        { targetPort: 1, publishedPort: 9000 },
        { targetPort: 1, publishedPort: 9001, publishMode },
      ];
      const taken = makeService(swarm, serviceSpec({ name: "taken", endpoint: { ports } }));
      const { revision } = swarm.store;
      const spec = serviceSpec(parts as object, container);
      const result = swarm.write((draft) => createService(draft, { spec }, swarm.context));
      const sentence = isRefusal(result) ? result.message.replace(taken.id, "ID") : "made";
      if (typeof want === "string") expect(sentence).toBe(want);
      else expect(sentence).toMatch(want);
      expect(swarm.store.revision).toBe(revision);
    });
  }
});

describe("a service", () => {
  test("gets an address on each network and on ingress, and its ports, at once", () => {
    const swarm = new SwarmState();
    const web = swarm.network({ name: "web", ipv6: true });
    const spec = serviceSpec({
      task: { networks: [{ target: "web", aliases: ["www"] }, { target: "host" }] },
      endpoint: { ports: [{ targetPort: 80 }, { targetPort: 81 }, PORT] },
    });
    const service = makeService(swarm, spec);
    expect(service.spec?.task?.networks.map(({ target }) => target)).toEqual([web.id, "host"]);
    expect(service.ports.map((port) => port.publishedPort)).toEqual([30_000, 30_001, 8080]);
    expect(service.virtualIps.map((vip) => vip.addr)).toEqual(["10.0.0.2/24", "10.0.1.2/24"]);
    expect(service.virtualIps.map((vip) => vip.addrIpv6 ?? "")).toEqual([
      "",
      expect.stringMatching(/^fd.*::2\/64$/),
    ]);
    const vip = swarm.view.endpoint(service.virtualIps[1]?.endpointId ?? "");
    expect(vip).toMatchObject({ name: "web", aliases: ["www"], ownerId: service.id, nodeId: "" });
    expect([...swarm.view.nodesOn(web.id)]).toEqual([]);
    expect(sentenceOf(swarm.removeNetwork(web.id))).toBe(
      `failed-precondition: network ${web.id} is in use by service ${service.id}`,
    );
    const ingress = swarm.view.ingressNetwork()?.id ?? "";
    expect(sentenceOf(swarm.removeNetwork(ingress))).toBe(
      `failed-precondition: ingress network cannot be removed because service ${service.id} depends on it`,
    );
  });

  test("of mode dnsrr has none", () => {
    const swarm = new SwarmState();
    swarm.network({ name: "web" });
    const endpoint = { mode: EndpointMode.DNSRR };
    const spec = serviceSpec({ task: { networks: [{ target: "web" }] }, endpoint });
    expect(makeService(swarm, spec).virtualIps).toEqual([]);
  });

  test("finds its secrets and configs by name, and they stay while it needs them", () => {
    const swarm = new SwarmState();
    const secretId = makeSecret(swarm, "pass");
    const configId = makeConfig(swarm, "conf");
    const references = {
      secrets: [{ secretName: "pass", file: file("pass") }],
      configs: [{ configName: "conf", file: file("conf") }],
    };
    const service = makeService(swarm, serviceSpec({}, references));
    expect(service.spec?.task?.container).toMatchObject({
      secrets: [{ secretId }],
      configs: [{ configId }],
    });
    const drop = () => swarm.write((draft) => removeSecret(draft, { id: secretId }));
    const inUse = "invalid-argument: secret 'pass' is in use by the following service: web";
    expect(sentenceOf(drop())).toBe(inUse);
    const task = makeTask(swarm, service);
    changeService(swarm, service.id, serviceSpec());
    expect(sentenceOf(drop())).toBe(inUse);
    const status = { ...task.status, state: TaskState.SHUTDOWN } as const;
    swarm.must((draft) =>
      draft.update("task", { ...task, status: { ...status } as typeof task.status }),
    );
    expect(drop()).toBeUndefined();
    const back = changeService(swarm, service.id, undefined, { rollback: true });
    expect(sentenceOf(back)).toBe("invalid-argument: secret not found: pass");
  });

  test("goes with its addresses and ports, and its tasks are told to go", () => {
    const swarm = new SwarmState();
    const net = swarm.network({ name: "web" });
    const spec = serviceSpec({
      task: { networks: [{ target: "web" }] },
      endpoint: { ports: [PORT] },
    });
    const service = makeService(swarm, spec);
    const task = makeTask(swarm, service);
    const remove = () =>
      swarm.write((draft) => removeService(draft, { id: service.id }, swarm.context));
    expect(remove()).toBeUndefined();
    expect(swarm.view.task(task.id)?.desiredState).toBe(TaskState.REMOVE);
    expect([...swarm.view.endpointsOn(net.id)]).toEqual([]);
    expect(swarm.view.quarantined(`${net.id}/10.0.1.2`)).toBeDefined();
    expect(sentenceOf(remove())).toBe(`not-found: service ${service.id} not found`);
    expect(makeService(swarm, spec).ports).toMatchObject([{ publishedPort: 8080 }]);
  });

  test("of tasks with many labels goes in transactions that the log can take", () => {
    const swarm = new SwarmState();
    const service = makeService(swarm, serviceSpec());
    const serviceLabels = { x: "x".repeat(60_000) };
    for (let slot = 1; slot <= 30; slot++) makeTask(swarm, service, { slot, serviceLabels });
    swarm.write((draft) => removeService(draft, { id: service.id }, swarm.context));
    const left = () =>
      [...swarm.view.tasksOf(service.id)].filter((task) => task.desiredState < TaskState.REMOVE);
    let rounds = 1;
    for (; left().length > 0 && rounds < 20; rounds++) {
      swarm.must((draft) => condemnTasks(draft, service.id, swarm.nowMs));
    }
    expect([left().length, rounds]).toEqual([0, 4]);
    const largest = Math.max(...swarm.log.slice(-rounds).map(({ data }) => data.length));
    expect(largest).toBeLessThan(1024 * 1024);
  });
});

describe("an update", () => {
  const begun = (swarm: SwarmState, service: Service) => swarm.view.service(service.id);

  test("counts the spec up when tasks differ, and begins where there are tasks to replace", () => {
    const swarm = new SwarmState();
    const service = makeService(swarm, serviceSpec());
    makeTask(swarm, service);
    changeService(swarm, service.id, serviceSpec({}, { image: "alpine:3" }));
    expect(begun(swarm, service)).toMatchObject({
      specVersion: 2,
      previousSpec: { task: { container: { image: "alpine" } } },
      updateStatus: { state: UpdateState.UPDATING, startedAtMs: 1_000 },
    });
  });

  test("that scales leaves the tasks as they are; one that was under way goes on", () => {
    const swarm = new SwarmState();
    const service = makeService(swarm, serviceSpec());
    makeTask(swarm, service);
    const three = { mode: { $case: "replicated", value: { replicas: 3 } } } as const;
    changeService(swarm, service.id, serviceSpec(three));
    expect(begun(swarm, service)).toMatchObject({ specVersion: 1, updateStatus: undefined });
    changeService(swarm, service.id, serviceSpec(three, { image: "alpine:3" }));
    changeService(swarm, service.id, serviceSpec({}, { image: "alpine:3" }));
    expect(begun(swarm, service)).toMatchObject({
      specVersion: 2,
      updateStatus: { state: UpdateState.UPDATING },
    });
  });

  test("goes back, and forth again", () => {
    const swarm = new SwarmState();
    const service = makeService(swarm, serviceSpec());
    const none = changeService(swarm, service.id, undefined, { rollback: true });
    expect(sentenceOf(none)).toBe(
      `failed-precondition: service ${service.id} does not have a previous spec`,
    );
    changeService(swarm, service.id, serviceSpec({}, { image: "alpine:3" }));
    for (const image of ["alpine", "alpine:3"]) {
      changeService(swarm, service.id, undefined, { rollback: true });
      expect(begun(swarm, service)).toMatchObject({
        spec: { task: { container: { image } } },
        updateStatus: {
          state: UpdateState.ROLLBACK_STARTED,
          message: "manually requested rollback",
        },
      });
    }
  });

  test("moves addresses and keeps chosen ports", () => {
    const swarm = new SwarmState();
    swarm.network({ name: "one" });
    const two = swarm.network({ name: "two" });
    const on = (network: string, ports: object[]) =>
      serviceSpec({ task: { networks: [{ target: network }] }, endpoint: { ports } });
    const service = makeService(swarm, on("one", [{ targetPort: 80 }]));
    const [ingress] = service.virtualIps;
    changeService(swarm, service.id, on("two", [{ targetPort: 81 }, { targetPort: 80 }]));
    const after = begun(swarm, service);
    expect(after?.ports.map((port) => port.publishedPort)).toEqual([30_001, 30_000]);
    expect(after?.virtualIps).toMatchObject([ingress ?? {}, { networkId: two.id }]);
    changeService(swarm, service.id, on("two", []));
    expect(begun(swarm, service)?.virtualIps).toMatchObject([{ networkId: two.id }]);
  });

  test("keeps credentials that it does not bring, and they alone replace nothing", () => {
    const swarm = new SwarmState();
    const service = makeService(swarm, serviceSpec({}, { registryAuth: "one" }));
    const auth = () => begun(swarm, service)?.spec?.task?.container?.registryAuth;
    changeService(swarm, service.id, serviceSpec({}, { registryAuth: "two" }));
    expect(auth()).toBe("two");
    changeService(swarm, service.id, serviceSpec());
    expect([auth(), begun(swarm, service)?.specVersion]).toEqual(["two", 1]);
    changeService(swarm, service.id, serviceSpec({}, { registryAuth: "three" }));
    changeService(swarm, service.id, serviceSpec(), { authFromPrevious: true });
    expect(auth()).toBe("two");
  });

  test("of a job begins the next iteration when its tasks differ", () => {
    const swarm = new SwarmState();
    const mode = {
      $case: "replicatedJob",
      value: { maxConcurrent: 1, totalCompletions: 3 },
    } as const;
    const service = makeService(swarm, serviceSpec({ mode }));
    expect(service.jobStatus).toEqual({ iteration: 0, lastExecutionMs: 1_000 });
    changeService(swarm, service.id, serviceSpec({ mode, labels: { a: "b" } }));
    expect(begun(swarm, service)?.jobStatus?.iteration).toBe(0);
    changeService(swarm, service.id, serviceSpec({ mode, task: { forceUpdate: 1 } }));
    expect(begun(swarm, service)).toMatchObject({
      jobStatus: { iteration: 1 },
      updateStatus: undefined,
    });
  });

  const refused = [
    [{ name: "other" }, {}, "unimplemented: renaming services is not supported"],
    [
      { mode: { $case: "global", value: {} } },
      {},
      "unimplemented: service mode change is not allowed",
    ],
    [{}, { version: 1 }, "failed-precondition: update out of sequence"],
  ] as const;
  for (const [parts, more, want] of refused) {
    test(`is refused: ${want}`, () => {
      const swarm = new SwarmState();
      const service = makeService(swarm, serviceSpec());
      expect(sentenceOf(changeService(swarm, service.id, serviceSpec(parts), more))).toBe(want);
    });
  }
});
