import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  Config,
  type ConfigReference,
  ContainerSpec,
  HealthConfig,
  LogDriver,
  Mount,
  NetworkAttachmentConfig,
  PortConfig,
  PortProtocol,
  Secret,
  type SecretReference,
  Task,
  TaskSpec,
  TaskState,
} from "../../proto/gen/service.js";
import { Endpoint, Network, NetworkSpec } from "../../proto/gen/types.js";
import type { ContainerSpec as Made } from "./container-spec.js";
import { isPinned, withTag } from "./image-reference.js";
import { LogLines } from "./log-lines.js";
import { parseRegistryAuth } from "./registry-auth.js";
import { encodeFrame, STDERR, STDOUT } from "./stdio-frame.js";
import { taskFiles } from "./task-files.js";
import { type TaskSurroundings, taskContainer } from "./task-spec.js";
import { exitSentence, isEnd, isOver, nextStep } from "./task-step.js";

const NODE = { id: "n0de", hostname: "h1", architecture: "x86_64", os: "linux" };
const AROUND: TaskSurroundings = {
  node: NODE,
  endpoints: [
    Endpoint.create({ id: "e-in", networkId: "ingress-id", nodeId: "n0de" }),
    Endpoint.create({ id: "e-a", networkId: "a-id", nodeId: "n0de" }),
    Endpoint.create({ id: "e-b", networkId: "b-id", nodeId: "n0de" }),
  ],
  networks: ["ingress", "a", "b"].map((name) =>
    Network.create({ id: `${name}-id`, spec: NetworkSpec.create({ name }) }),
  ),
  isLocalNetwork: (ref) => ["bridge", "mybridge"].includes(ref),
};

function taskOf(
  container: Partial<ContainerSpec>,
  more: Partial<Task> = {},
  spec: Partial<TaskSpec> = {},
) {
  return Task.create({
    id: "t1",
    serviceId: "s1",
    serviceName: "web",
    serviceLabels: { tier: "front" },
    slot: 3,
    nodeId: "n0de",
    ...more,
    spec: TaskSpec.create({
      ...spec,
      container: ContainerSpec.create({ image: "alpine", ...container }),
    }),
  });
}

function madeOf(...args: Parameters<typeof taskOf>): Made {
  const made = taskContainer(taskOf(...args), AROUND);
  if (typeof made === "string") throw new Error(made);
  return made.spec;
}

function wrongOf(...args: Parameters<typeof taskOf>): string {
  const made = taskContainer(taskOf(...args), AROUND);
  return typeof made === "string" ? made : "";
}

describe("a container of a task", () => {
  const cases: { name: string; made: Made; want: Partial<Made> }[] = [
    { name: "is named by its slot", made: madeOf({}), want: { name: "web.3.t1" } },
    {
      name: "of a global service is named by its node",
      made: madeOf({}, { slot: 0 }),
      want: { name: "web.n0de.t1" },
    },
    {
      name: "keeps a person's labels below Docker's",
      made: madeOf({ labels: { a: "1", "com.docker.swarm.task.id": "x" } }),
      want: {
        labels: expect.objectContaining({ a: "1", "com.docker.swarm.task.id": "t1" }),
      } as Partial<Made>,
    },
    {
      name: "has templates filled in",
      made: madeOf({
        env: [
          "A={{.Node.Hostname}}-{{.Task.Slot}}",
          "B={{.Service.Name}}:{{.Service.Labels.tier}}:{{.Node.Platform.Architecture}}",
          "C",
          "{{.D}}=x",
        ],
        hostname: "{{.Service.Name}}{{.Task.Slot}}",
        mounts: [Mount.create({ type: "volume", source: "v-{{.Task.Slot}}", target: "/d" })],
      }),
      want: {
        env: ["A=h1-3", "B=web:front:x86_64", "C", "{{.D}}=x"],
        hostname: "web3",
        mounts: [
          expect.objectContaining({ source: "v-3", kind: "volume" }),
        ] as unknown as Made["mounts"],
      },
    },
    {
      name: "is on its networks in the order that was asked for, and on ingress last",
      made: madeOf(
        {},
        { endpointIds: ["e-in", "e-b", "e-a"] },
        {
          networks: [
            NetworkAttachmentConfig.create({ target: "a-id", aliases: ["x"] }),
            NetworkAttachmentConfig.create({ target: "b-id" }),
          ],
        },
      ),
      want: {
        networkMode: "networks",
        endpoints: [
          { network: "a", aliases: ["x"], ipv4: "", ipv6: "", assigned: "e-a" },
          { network: "b", aliases: [], ipv4: "", ipv6: "", assigned: "e-b" },
          { network: "ingress", aliases: [], ipv4: "", ipv6: "", assigned: "e-in" },
        ],
      },
    },
    {
      name: "can be on a network of the node",
      made: madeOf({}, {}, { networks: [NetworkAttachmentConfig.create({ target: "mybridge" })] }),
      want: { endpoints: [{ network: "mybridge", aliases: [], ipv4: "", ipv6: "" }] },
    },
    {
      name: "can be on the machine's own network",
      made: madeOf({}, {}, { networks: [NetworkAttachmentConfig.create({ target: "host" })] }),
      want: { networkMode: "host", endpoints: [] },
    },
    {
      name: "is on the bridge when nothing is said",
      made: madeOf({}),
      want: { endpoints: [{ network: "bridge", aliases: [], ipv4: "", ipv6: "" }] },
    },
    {
      name: "publishes the host's ports that it was given",
      made: madeOf(
        {},
        {
          hostPorts: [
            PortConfig.create({ targetPort: 53, publishedPort: 5353, protocol: PortProtocol.UDP }),
          ],
        },
      ),
      want: {
        ports: [{ containerPort: 53, protocol: "udp", hostIp: "", hostPort: 5353 }],
        exposed: ["53/udp"],
      },
    },
    {
      name: "has its limits, swap counted with memory",
      made: madeOf(
        {},
        {},
        {
          resources: {
            limits: { nanoCpus: 5e8, memoryBytes: 1 << 20, pids: 7, generic: [] },
            reservations: undefined,
            swapBytes: 1 << 10,
          },
        },
      ),
      want: {
        limits: expect.objectContaining({
          ...{
            nanoCpus: 5e8,
            memoryBytes: 1 << 20,
            pids: 7,
            memorySwapBytes: (1 << 20) + (1 << 10),
          },
        }) as Made["limits"],
      },
    },
    {
      name: "knows its generic resources",
      made: madeOf(
        { env: ["A=1"] },
        {
          genericResources: [
            { kind: "gpu", value: 0, namedValue: "u1" },
            { kind: "gpu", value: 0, namedValue: "u2" },
            { kind: "ssd", value: 2, namedValue: "" },
          ],
        },
      ),
      want: { env: ["A=1", "DOCKER_RESOURCE_GPU=u1,u2", "DOCKER_RESOURCE_SSD=2"] },
    },
    {
      name: "may take long to stop",
      made: madeOf({ stopGracePeriodNs: 90e9, stopSignal: "SIGINT" }),
      want: { stopTimeoutSeconds: 90, stopSignal: "SIGINT" },
    },
    {
      name: "checks its health, times in ms",
      made: madeOf({
        healthcheck: HealthConfig.create({ test: ["CMD-SHELL", "true"], intervalNs: 2e9 }),
      }),
      want: {
        healthCheck: {
          ...{ test: ["CMD-SHELL", "true"], intervalMs: 2_000, timeoutMs: 0, retries: 0 },
          ...{ startPeriodMs: 0, startIntervalMs: 0 },
        },
      },
    },
    {
      name: "checks nothing when told so",
      made: madeOf({ healthcheck: HealthConfig.create({ test: ["NONE"] }) }),
      want: { healthCheck: null },
    },
    {
      name: "has hosts with all their names",
      made: madeOf({ hosts: ["192.0.2.1 db db.local"] }),
      want: { extraHosts: ["db:192.0.2.1", "db.local:192.0.2.1"] },
    },
    {
      name: "keeps its log as it was told",
      made: madeOf(
        {},
        {},
        {
          logDriver: LogDriver.create({
            name: "json-file",
            options: { "max-size": "10m", "max-file": "3" },
          }),
        },
      ),
      want: { log: { driver: "json-file", maxBytes: 10 << 20, maxFiles: 3 } },
    },
    {
      name: "can be a command of the machine",
      made: madeOf({ image: "", args: ["sleep", "1"] }, {}, { runtime: "process" }),
      want: { runtime: "process", image: "process", command: ["sleep", "1"] },
    },
  ];
  for (const { name, made, want } of cases) {
    test(name, () => expect(made).toMatchObject(want as object));
  }

  const wrong: { name: string; says: string | RegExp; got: string }[] = [
    {
      name: "an unknown runtime",
      got: wrongOf({}, {}, { runtime: "plugin" }),
      says: 'unknown runtime "plugin"',
    },
    { name: "no image", got: wrongOf({ image: "" }), says: "dockerexec: image required" },
    {
      name: "a template that goes nowhere",
      got: wrongOf({ env: ["A={{.Node.Nope}}"] }),
      says: /^expanding env failed: expanding env "A=.*": template: expansion:1:.* can't evaluate field Nope/,
    },
    {
      name: "a template that is none",
      got: wrongOf({ hostname: "{{.Node" }),
      says: /^expanding hostname failed: template: expansion:1: /,
    },
    {
      name: "a label that is not there",
      got: wrongOf({ env: ["A={{.Service.Labels.nope}}"] }),
      says: /map has no entry for key "nope"/,
    },
    {
      name: "a bind of no path",
      got: wrongOf({ mounts: [Mount.create({ type: "bind", source: "x", target: "/y" })] }),
      says: "invalid bind mount source, must be an absolute path: x",
    },
    {
      name: "a log driver that is not here",
      got: wrongOf({}, {}, { logDriver: LogDriver.create({ name: "syslog" }) }),
      says: "logger: no log driver named 'syslog' is registered",
    },
    {
      name: "a log option that nobody knows",
      got: wrongOf({}, {}, { logDriver: LogDriver.create({ options: { tag: "x" } }) }),
      says: "unknown log opt 'tag' for json-file log driver",
    },
  ];
  for (const { name, got, says } of wrong) {
    test(`${name} is refused with a sentence`, () => {
      if (typeof says === "string") expect(got).toBe(says);
      else expect(got).toMatch(says);
    });
  }
});

describe("secrets and configs", () => {
  const secretOf = (id: string, text: string, templating = "") =>
    Secret.create({
      id,
      spec: { name: `name-${id}`, labels: {}, data: Buffer.from(text), templating },
    });
  const configOf = (id: string, text: string, templating = "") =>
    Config.create({
      id,
      spec: { name: `name-${id}`, labels: {}, data: Buffer.from(text), templating },
    });
  const asked = (secrets: SecretReference[], configs: ConfigReference[] = []) =>
    ContainerSpec.create({ image: "alpine", env: ["X=from env"], secrets, configs });
  const target = (name: string, more = {}) => ({ name, uid: "", gid: "", mode: 0, ...more });
  const files = (spec: ContainerSpec, secrets: Secret[], configs: Config[] = []) =>
    taskFiles(taskOf({}), spec, NODE, { secrets, configs });

  test("lie at Docker's places unless told otherwise", () => {
    const spec = asked(
      [
        { secretId: "1", secretName: "a", file: target("a") },
        {
          secretId: "2",
          secretName: "b",
          file: target("/etc/b", { uid: "5", gid: "6", mode: 0o400 }),
        },
      ],
      [
        { configId: "3", configName: "c", file: target("c"), runtime: false },
        { configId: "9", configName: "win", file: undefined, runtime: true },
      ],
    );
    expect(files(spec, [secretOf("1", "x"), secretOf("2", "y")], [configOf("3", "z")])).toEqual([
      {
        target: "/run/secrets/a",
        uid: 0,
        gid: 0,
        mode: 0o444,
        data: Buffer.from("x"),
        secret: true,
      },
      { target: "/etc/b", uid: 5, gid: 6, mode: 0o400, data: Buffer.from("y"), secret: true },
      { target: "/c", uid: 0, gid: 0, mode: 0o444, data: Buffer.from("z"), secret: false },
    ]);
  });

  test("are filled in with each other and the environment", () => {
    const spec = asked(
      [{ secretId: "1", secretName: "a", file: target("pass") }],
      [{ configId: "3", configName: "c", file: target("conf"), runtime: false }],
    );
    const text = '{{.Task.Slot}} {{secret "pass"}} {{env "X"}} {{.Node.Hostname}}';
    const made = files(spec, [secretOf("1", "pw")], [configOf("3", text, "golang")]);
    const conf = typeof made === "string" ? undefined : made[1];
    expect(Buffer.from(conf?.data ?? []).toString()).toBe("3 pw from env h1");
    // What a secret went into is one.
    expect(conf?.secret).toBe(true);
  });

  const wrong: [string, ContainerSpec, Secret[], Config[], RegExp][] = [
    [
      "is not there",
      asked([{ secretId: "1", secretName: "a", file: target("a") }]),
      [],
      [],
      /^secret a not found$/,
    ],
    [
      "climbs out",
      asked([{ secretId: "1", secretName: "a", file: target("../a") }]),
      [secretOf("1", "")],
      [],
      /holds "\.\."/,
    ],
    [
      "belongs to a name",
      asked([{ secretId: "1", secretName: "a", file: target("a", { uid: "root" }) }]),
      [secretOf("1", "")],
      [],
      /uid "root" is not a number/,
    ],
    [
      "refers to itself",
      asked([], [{ configId: "3", configName: "c", file: target("c"), runtime: false }]),
      [],
      [configOf("3", '{{config "c"}}', "golang")],
      /refers to itself/,
    ],
    [
      "is of another language",
      asked([], [{ configId: "3", configName: "c", file: target("c"), runtime: false }]),
      [],
      [configOf("3", "", "jinja")],
      /unrecognized template type "jinja"/,
    ],
    [
      "takes another's place",
      asked([
        { secretId: "1", secretName: "a", file: target("a") },
        { secretId: "1", secretName: "a", file: target("/run/secrets/a") },
      ]),
      [secretOf("1", "")],
      [],
      /more than one secret or config/,
    ],
  ];
  for (const [name, spec, secrets, configs, says] of wrong) {
    test(`one that ${name} is refused with a sentence`, () => {
      expect(files(spec, secrets, configs)).toMatch(says);
    });
  }
});

test("whatever is desired, a task's states grow and come to an end", () => {
  const states = [
    ...[TaskState.ASSIGNED, TaskState.ACCEPTED, TaskState.PREPARING, TaskState.READY],
    ...[TaskState.STARTING, TaskState.RUNNING, TaskState.COMPLETE, TaskState.FAILED],
  ];
  const desires = [
    TaskState.READY,
    TaskState.RUNNING,
    TaskState.COMPLETE,
    TaskState.SHUTDOWN,
    TaskState.REMOVE,
  ];
  fc.assert(
    fc.property(
      fc.constantFrom(...states),
      fc.array(fc.constantFrom(...desires)),
      (first, wishes) => {
        let state = first;
        // The managers only ever want more of a task's end.
        for (const desired of [...wishes.sort((a, b) => a - b), TaskState.REMOVE]) {
          for (let i = 0; i < 10; i++) {
            const step = nextStep(state, desired);
            const before = state;
            if (step.kind === "rest") break;
            if (step.kind === "advance") state = step.state;
            if (step.kind === "prepare") state = TaskState.READY;
            if (step.kind === "start") state = TaskState.RUNNING;
            if (step.kind === "watch") state = TaskState.COMPLETE;
            if (step.kind === "stop") state = TaskState.SHUTDOWN;
            expect(state).toBeGreaterThan(before);
          }
          if (isEnd(desired)) expect(isOver(state)).toBe(true);
          if (desired === TaskState.READY)
            expect([TaskState.STARTING, TaskState.ASSIGNED]).not.toContain(state);
        }
      },
    ),
  );
});

test.each([
  [0, "", ""],
  [7, "", "task: non-zero exit (7)"],
  [137, "x", "task: non-zero exit (137): x"],
])("an exit of %i is told as Docker tells it", (code, cause, said) => {
  expect(exitSentence(code, cause)).toBe(said);
});

test.each([
  ["alpine", "alpine:latest"],
  ["alpine:3", "alpine:3"],
  ["localhost:5000/app", "localhost:5000/app:latest"],
  ["localhost:5000/app:1", "localhost:5000/app:1"],
  [`app@sha256:${"a".repeat(64)}`, `app@sha256:${"a".repeat(64)}`],
  ["a".repeat(64), "a".repeat(64)],
])("%s is %s", (asked, full) => {
  expect(withTag(asked)).toBe(full);
  expect(isPinned(full)).toBe(full.includes("@"));
});

test("credentials are read in either alphabet, and nonsense is none", () => {
  const json = '{"username":"ü?>","password":"p","serveraddress":"r"}';
  for (const alphabet of ["base64", "base64url"] as const) {
    expect(parseRegistryAuth(Buffer.from(json).toString(alphabet))).toEqual({
      ...{
        username: "ü?>",
        password: "p",
        identityToken: "",
        registryToken: "",
        serverAddress: "r",
      },
    });
  }
  for (const text of [
    "",
    "!",
    Buffer.from("{}").toString("base64"),
    Buffer.from("3").toString("base64"),
  ]) {
    expect(parseRegistryAuth(text)).toBeUndefined();
  }
});

describe("a log in lines", () => {
  const T1 = "2026-11-21T03:09:21.764418506Z";
  const NS1 = String(BigInt(Date.parse("2026-11-21T03:09:21Z")) * 1_000_000n + 764_418_506n);

  test("is the same however the frames are cut", () => {
    const bytes = Buffer.concat([
      encodeFrame(STDOUT, Buffer.from(`${T1} one\n`)),
      encodeFrame(STDERR, Buffer.from(`${T1} two words\n`)),
      encodeFrame(STDOUT, Buffer.from("no time\n")),
    ]);
    fc.assert(
      fc.property(fc.array(fc.nat(bytes.length)), (cuts) => {
        const lines = new LogLines(false);
        const at = [0, ...cuts.sort((a, b) => a - b), bytes.length];
        const pieces = at.flatMap(
          (cut, i) => lines.push(bytes.subarray(cut, at[i + 1] ?? cut)) ?? [],
        );
        expect(pieces.map(({ stream, timeNs, data }) => [stream, timeNs, data.toString()])).toEqual(
          [
            ["stdout", NS1, "one\n"],
            ["stderr", NS1, "two words\n"],
            ["stdout", NS1, "no time\n"],
          ],
        );
      }),
    );
  });

  test("of a terminal is cut at its ends of line", () => {
    const lines = new LogLines(true);
    expect(
      lines.push(Buffer.from(`${T1} a\r\n${T1} b`))?.map(({ data }) => data.toString()),
    ).toEqual(["a\r\n"]);
    expect(lines.end().map(({ data }) => data.toString())).toEqual(["b"]);
  });

  test("ends at what is no frame", () => {
    expect(new LogLines(false).push(Buffer.from("GET / HTTP/1.1\r\n"))).toBeUndefined();
  });
});
