// What is derived from services and tasks, against a slow twin that looks at all objects each time.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type ConfigSpec,
  PortProtocol,
  PublishMode,
  type SecretSpec,
  Service,
  ServiceSpec,
  Task,
  TaskState,
} from "../../proto/gen/service.js";
import { Batch, type StoreAction } from "../../proto/gen/store.js";
import { changeService, makeService, makeTask, serviceSpec } from "../../test/fakes/services.js";
import { FIRST_NODE, SwarmState, sentenceOf } from "../../test/fakes/swarm-state.js";
import { removeService } from "../control/service.js";
import { itemOf } from "./objects.js";
import { Store } from "./store.js";
import type { StoreView } from "./view.js";
import { isOver, type Referred } from "./work-index.js";

const small = fc.nat(2);
const file: SecretSpec & ConfigSpec = {
  name: "",
  labels: {},
  data: Buffer.from("x"),
  templating: "",
};

/** One that refers to secret s, config c and network w. */
function specOf(s: number, c: number, w: number) {
  return {
    container: {
      image: "i",
      secrets: s === 0 ? [] : [{ secretId: `s${s}`, secretName: "x" }],
      configs: c === 0 ? [] : [{ configId: `c${c}`, configName: "x" }],
    },
    networks: w === 0 ? [] : [{ target: `w${w}` }],
  };
}

const object = fc
  .record({ kind: fc.nat(4), id: small, a: small, b: small, c: small, over: fc.boolean() })
  .map(({ kind, id, a, b, c, over }) => {
    const meta = undefined;
    if (kind === 0)
      return itemOf("secret", { id: `s${id}`, meta, spec: { ...file, name: `n${a}` } });
    if (kind === 1)
      return itemOf("config", { id: `c${id}`, meta, spec: { ...file, name: `n${a}` } });
    if (kind === 2) {
      const publishMode = over ? PublishMode.HOST : PublishMode.INGRESS;
      const ports = [{ protocol: PortProtocol.TCP, publishedPort: 30_000 + b, publishMode }];
      const spec = ServiceSpec.fromPartial({ name: `n${a}`, task: specOf(a, b, c) });
      return itemOf("service", Service.fromPartial({ id: `v${id}`, spec, ports }));
    }
    const state = over ? TaskState.FAILED : TaskState.RUNNING;
    const parts = { serviceId: `v${id}`, nodeId: b === 0 ? "" : "node0", status: { state } };
    // Of one spec for one id: another one would be refused.
    return itemOf(
      "task",
      Task.fromPartial({ id: `t${id}`, ...parts, spec: specOf(id, 2 - id, 1) }),
    );
  });

const action: fc.Arbitrary<StoreAction["action"]> = fc.oneof(
  {
    weight: 3,
    arbitrary: object.map((item) => ({ $case: "create" as const, value: { object: item } })),
  },
  {
    weight: 3,
    arbitrary: object.map((item) => ({ $case: "update" as const, value: { object: item } })),
  },
  {
    weight: 1,
    arbitrary: object.map((item) => ({
      $case: "remove" as const,
      value: { kind: item.$case, id: item.value.id },
    })),
  },
);

const ids = (objects: Iterable<{ readonly id: string }>) => [...objects].map(({ id }) => id).sort();

/** All that the index answers. */
function answers(view: StoreView) {
  const names = ["n0", "n1", "n2"];
  const ports = [0, 1, 2].map((n) => 30_000 + n);
  const referred = (["secret", "config", "network"] as const).flatMap((kind) =>
    [1, 2].map((n) => [kind, `${kind === "network" ? "w" : kind[0]}${n}`] as const),
  );
  return {
    names: names.map((name) => [
      view.serviceByName(name)?.id,
      view.secretByName(name)?.id,
      view.configByName(name)?.id,
    ]),
    ports: ports.map((port) => view.portHolder(PortProtocol.TCP, port)?.id),
    free: view.lowestFreePort(PortProtocol.TCP, 30_000, 30_002),
    tasksOf: ["v0", "v1", "v2"].map((id) => ids(view.tasksOf(id))),
    tasksOn: ids(view.tasksOn("node0")),
    users: referred.map(([kind, id]) => ids(view.usersOf(kind, id))),
  };
}

function slowAnswers(view: StoreView): ReturnType<typeof answers> {
  const [services, tasks] = [[...view.services()], [...view.tasks()]];
  const named = (
    objects: Iterable<{ id: string; spec: { name: string } | undefined }>,
    name: string,
  ) => [...objects].find(({ spec }) => spec?.name === name)?.id;
  const holder = (port: number) =>
    services.find(({ ports }) =>
      ports.some((p) => p.publishedPort === port && p.publishMode === PublishMode.INGRESS),
    )?.id;
  const refers = (spec: Task["spec"], kind: Referred, id: string) =>
    kind === "network"
      ? spec?.networks.some(({ target }) => target === id)
      : kind === "secret"
        ? spec?.container?.secrets.some(({ secretId }) => secretId === id)
        : spec?.container?.configs.some(({ configId }) => configId === id);
  const users = (kind: Referred, id: string) =>
    ids(
      services.filter(
        (service) =>
          refers(service.spec?.task, kind, id) ||
          tasks.some((t) => t.serviceId === service.id && !isOver(t) && refers(t.spec, kind, id)),
      ),
    );
  const ports = [30_000, 30_001, 30_002];
  return {
    names: ["n0", "n1", "n2"].map((name) => [
      named(services, name),
      named(view.secrets(), name),
      named(view.configs(), name),
    ]),
    ports: ports.map(holder),
    free: ports.find((port) => holder(port) === undefined),
    tasksOf: ["v0", "v1", "v2"].map((id) => ids(tasks.filter((t) => t.serviceId === id))),
    tasksOn: ids(tasks.filter((t) => t.nodeId === "node0")),
    users: (["secret", "config", "network"] as const).flatMap((kind) =>
      [1, 2].map((n) => users(kind, `${kind === "network" ? "w" : kind[0]}${n}`)),
    ),
  };
}

test("the index answers as one that looks at everything, also after drafts, refusals and a snapshot", () => {
  fc.assert(
    fc.property(fc.array(fc.array(action, { maxLength: 3 }), { maxLength: 40 }), (entries) => {
      const { store } = new SwarmState();
      for (const actions of entries) {
        const current = actions.map((each) => ({ action: withVersion(store.view, each) }));
        store.draft((draft) => {
          draft.attempt(1, (inner) => {
            for (const { action: each } of current) {
              if (each?.$case === "create" && each.value.object?.$case === "service") {
                inner.create("service", each.value.object.value);
              }
            }
            return true;
          });
          expect(answers(draft)).toEqual(slowAnswers(draft));
        });
        const data = Batch.encode({ transactions: [{ actions: current, nowMs: 1 }] }).finish();
        store.apply(store.revision + 1, data);
        expect(answers(store.view)).toEqual(slowAnswers(store.view));
      }
      const copy = new Store();
      copy.restore(store.snapshot());
      expect(answers(copy.view)).toEqual(answers(store.view));
    }),
    { numRuns: 200 },
  );
});

/** Updates name the version that is stored, or nearly all would be refused. */
function withVersion(view: StoreView, action: StoreAction["action"]): StoreAction["action"] {
  if (action?.$case !== "update" || action.value.object === undefined) return action;
  const { $case, value } = action.value.object;
  const finders = {
    secret: () => view.secret(value.id),
    config: () => view.config(value.id),
    service: () => view.service(value.id),
    task: () => view.task(value.id),
  };
  const meta = finders[$case as keyof typeof finders]?.()?.meta;
  return { $case: "update", value: { object: { $case, value: { ...value, meta } } as never } };
}

describe("tasks of one service", () => {
  test("share one spec, through updates, versions and a snapshot", () => {
    const swarm = new SwarmState();
    const service = makeService(swarm, serviceSpec());
    const one = makeTask(swarm, service);
    const two = makeTask(swarm, service, { slot: 2 });
    expect(one.spec).toBe(two.spec);
    swarm.must((draft) => draft.update("task", { ...two, desiredState: TaskState.SHUTDOWN }));
    expect(swarm.view.task(two.id)?.spec).toBe(one.spec);
    changeService(swarm, service.id, serviceSpec({}, { image: "alpine:3" }));
    const changed = swarm.view.service(service.id) ?? service;
    expect(makeTask(swarm, changed).spec).toBe(changed.spec?.task);
    const copy = new Store();
    copy.restore(swarm.store.snapshot());
    expect(copy.view.task(one.id)?.spec).toBe(copy.view.task(two.id)?.spec);
    expect(Buffer.compare(copy.snapshot(), swarm.store.snapshot())).toBe(0);
  });

  test("are in the log without it; what names a spec that is not there is refused", () => {
    const swarm = new SwarmState();
    const word = "W".repeat(10_000);
    const service = makeService(swarm, serviceSpec({}, { env: [word] }));
    const task = makeTask(swarm, service);
    swarm.must((draft) => draft.update("task", { ...task, desiredState: TaskState.SHUTDOWN }));
    const entries = swarm.log.slice(-3).map(({ data }) => Buffer.from(data).includes(word));
    expect(entries).toEqual([true, false, false]);
    expect(swarm.view.task(task.id)?.spec?.container?.env).toEqual([word]);
    const value = Task.fromPartial({ id: "t", serviceId: service.id, specVersion: 9 });
    const object = itemOf("task", value);
    const actions = [{ action: { $case: "create" as const, value: { object } } }];
    const data = Batch.encode({ transactions: [{ actions, nowMs: 1 }] }).finish();
    const [outcome] = swarm.store.apply(swarm.store.revision + 1, data);
    expect(outcome && sentenceOf(outcome)).toBe(
      "failed-precondition: task t has a spec that is not there",
    );
  });

  test("outlive it, and do not hold its name", () => {
    const swarm = new SwarmState();
    const service = makeService(swarm, serviceSpec());
    const task = makeTask(swarm, service);
    swarm.write((draft) => removeService(draft, { id: service.id }, swarm.context));
    expect(ids(swarm.view.tasksOf(service.id))).toEqual([task.id]);
    const again = makeService(swarm, serviceSpec());
    expect(ids(swarm.view.tasksOf(again.id))).toEqual([]);
  });
});

describe("the rules refuse", () => {
  test("a task that becomes another one", () => {
    const swarm = new SwarmState();
    swarm.node("n1");
    const service = makeService(swarm, serviceSpec());
    const task = makeTask(swarm, service, { nodeId: FIRST_NODE });
    const become = (parts: object) =>
      sentenceOf(swarm.write((draft) => draft.update("task", { ...task, ...parts })));
    expect(become({ nodeId: "n1" })).toContain("stays on the node that it was given to");
    expect(become({ serviceId: "other" })).toContain("cannot be changed");
    const { task: spec } = serviceSpec({}, { image: "other" });
    expect(become({ spec })).toContain("cannot be changed");
  });

  test("a second service of a name, and a port of another", () => {
    const swarm = new SwarmState();
    const ports = [{ targetPort: 80, publishedPort: 80 }];
    const one = makeService(swarm, serviceSpec({ endpoint: { ports } }));
    const same = swarm.write((draft) =>
      draft.create("service", { ...one, id: "other", ports: [] }),
    );
    expect(sentenceOf(same)).toBe(
      "already-exists: name conflicts with an existing object: service web already exists",
    );
    const spec = serviceSpec({ name: "two" });
    const taken = swarm.write((draft) => draft.create("service", { ...one, id: "other", spec }));
    expect(sentenceOf(taken)).toBe(
      `invalid-argument: port '80' is already in use by service 'web' (${one.id}) as an ingress port`,
    );
  });

  test("a task on a node that is not there", () => {
    const swarm = new SwarmState();
    const service = makeService(swarm, serviceSpec());
    const task = Task.fromPartial({ id: "t", serviceId: service.id, nodeId: "nobody" });
    expect(sentenceOf(swarm.write((draft) => draft.create("task", task)))).toBe(
      "not-found: node nobody not found",
    );
  });
});
