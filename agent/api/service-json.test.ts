// What dockerd 20.10 answered and was asked (API 1.41, recorded), through our mapping and back; and
// whatever else a client may write.
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Service, ServiceSpec, Task } from "../../proto/gen/service.js";
import type { JsonObject } from "./json.js";
import { serviceJson } from "./service-json.js";
import { serviceSpecFromJson, serviceSpecJson } from "./service-spec.js";
import { taskSpecFromJson, taskSpecJson } from "./service-task.js";

interface Recorded {
  readonly specs: readonly JsonObject[];
  readonly services: readonly (JsonObject & { readonly Spec: JsonObject })[];
  readonly tasks: readonly (JsonObject & { readonly Spec: JsonObject })[];
}
const recorded = JSON.parse(
  readFileSync(new URL("testdata/services.json", import.meta.url), "utf8"),
) as Recorded;

/** Through the wire as well: what a manager stores is what it decodes. */
function stored(json: JsonObject, version = 41): ServiceSpec {
  return ServiceSpec.decode(ServiceSpec.encode(serviceSpecFromJson(json, version)).finish());
}
function again(json: JsonObject, version = 41): object {
  return JSON.parse(JSON.stringify(serviceSpecJson(stored(json, version))));
}

describe("what dockerd showed is shown again, field by field and in its order", () => {
  for (const [number, { Spec }] of recorded.services.entries()) {
    test(`service ${number}: ${Spec["Name"]}`, () => {
      expect(JSON.stringify(again(Spec))).toBe(JSON.stringify(Spec));
    });
  }
  for (const [number, { Spec, ID }] of recorded.tasks.entries()) {
    test(`task ${number}: ${ID}`, () => {
      expect(JSON.stringify(taskSpecJson(taskSpecFromJson(Spec, 41), "task"))).toBe(
        JSON.stringify(Spec),
      );
    });
  }
});

describe("what a client asked for is shown again", () => {
  for (const [number, asked] of recorded.specs.entries()) {
    test(`request ${number}: ${asked["Name"]}`, () => {
      expect(missing(asked, again(asked))).toEqual([]);
    });
  }
});

/** Paths of what was given and is not zero in Go's sense, and is not there or is another. */
function missing(given: unknown, shown: unknown, path = ""): readonly string[] {
  if (typeof given === "object" && given !== null) {
    return Object.entries(given).flatMap(([key, value]) =>
      missing(value, (shown as Record<string, unknown> | undefined)?.[key], `${path}.${key}`),
    );
  }
  const isZero = given === null || given === "" || given === 0 || given === false;
  return given === shown || (isZero && shown === undefined) || given === "" ? [] : [path];
}

const text = fc.string({ minLength: 1, maxLength: 8 });
const texts = fc.array(text, { minLength: 1, maxLength: 3 });
const count = fc.integer({ min: 1, max: 2 ** 40 });
const port = fc.integer({ min: 1, max: 65_535 });
const map = fc
  .dictionary(fc.stringMatching(/^[a-z]{1,6}$/), text, { minKeys: 1, maxKeys: 3 })
  .map((each) => ({ ...each }));
const some = <T extends object>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }) =>
  fc.record(fields, { requiredKeys: [] });

const mount = fc.oneof(
  fc.record({
    Type: fc.constant("bind"),
    Source: text,
    Target: text,
    ReadOnly: fc.constant(true),
    BindOptions: some({
      Propagation: fc.constantFrom("rshared", "slave"),
      NonRecursive: fc.constant(true),
      CreateMountpoint: fc.constant(true),
    }),
  }),
  fc.record({
    Type: fc.constant("volume"),
    Source: text,
    Target: text,
    Consistency: fc.constant("cached"),
    VolumeOptions: some({
      NoCopy: fc.constant(true),
      Labels: map,
      Subpath: text,
      DriverConfig: some({ Name: text, Options: map }),
    }),
  }),
  fc.record({
    Type: fc.constant("tmpfs"),
    Target: text,
    TmpfsOptions: some({ SizeBytes: count, Mode: fc.integer({ min: 1, max: 0o7777 }) }),
  }),
);
const file = fc.record({
  Name: text,
  UID: text,
  GID: text,
  Mode: fc.integer({ min: 0, max: 0o7777 }),
});
const container = some({
  Image: fc.constantFrom("alpine", "alpine:3@sha256:00"),
  Labels: map,
  Command: texts,
  Args: texts,
  Hostname: text,
  Env: texts,
  Dir: text,
  User: text,
  Groups: texts,
  Privileges: fc.record({
    CredentialSpec: fc.constant(null),
    SELinuxContext: fc.constant(null),
    NoNewPrivileges: fc.boolean(),
    Seccomp: fc.record({ Mode: fc.constant("custom"), Profile: fc.constant("e30=") }),
    AppArmor: fc.record({ Mode: fc.constant("disabled") }),
  }),
  Init: fc.boolean(),
  TTY: fc.constant(true),
  OpenStdin: fc.constant(true),
  ReadOnly: fc.constant(true),
  StopSignal: text,
  StopGracePeriod: fc.integer({ min: 0, max: 2 ** 40 }),
  Mounts: fc.array(mount, { minLength: 1, maxLength: 3 }),
  Healthcheck: some({
    Test: texts,
    Interval: count,
    Timeout: count,
    Retries: fc.integer({ min: 1, max: 100 }),
    StartPeriod: count,
    StartInterval: count,
  }),
  Hosts: texts,
  DNSConfig: some({ Nameservers: texts, Search: texts, Options: texts }),
  Secrets: fc.array(fc.record({ File: file, SecretID: text, SecretName: text }), { minLength: 1 }),
  Configs: fc.array(fc.record({ File: file, ConfigID: text, ConfigName: text }), { minLength: 1 }),
  Sysctls: map,
  CapabilityAdd: texts,
  CapabilityDrop: texts,
  Ulimits: fc.array(fc.record({ Name: text, Hard: count, Soft: count }), { minLength: 1 }),
  OomScoreAdj: fc.integer({ min: -1000, max: -1 }),
});
const generic = fc.oneof(
  fc.record({ DiscreteResourceSpec: fc.record({ Kind: text, Value: count }) }),
  fc.record({ NamedResourceSpec: fc.record({ Kind: text, Value: text }) }),
);
const update = some({
  Parallelism: fc.integer({ min: 0, max: 9 }),
  Delay: count,
  FailureAction: fc.constantFrom("pause", "continue", "rollback"),
  Monitor: count,
  MaxFailureRatio: fc.constantFrom(0, 0.25, 0.1),
  Order: fc.constantFrom("stop-first", "start-first"),
});
const anySpec = fc.record(
  {
    Name: text,
    Labels: map,
    TaskTemplate: fc.record(
      {
        ContainerSpec: container,
        Resources: some({
          Limits: some({ NanoCPUs: count, MemoryBytes: count, Pids: count }),
          Reservations: some({
            NanoCPUs: count,
            MemoryBytes: count,
            GenericResources: fc.array(generic, { minLength: 1, maxLength: 3 }),
          }),
          SwapBytes: fc.integer({ min: -1, max: 9 }),
          MemorySwappiness: fc.integer({ min: 0, max: 100 }),
        }),
        RestartPolicy: some({
          Condition: fc.constantFrom("none", "any", "on-failure"),
          Delay: fc.integer({ min: 0, max: 2 ** 40 }),
          MaxAttempts: fc.integer({ min: 0, max: 9 }),
          Window: count,
        }),
        Placement: some({
          Constraints: texts,
          Preferences: fc.array(fc.record({ Spread: fc.record({ SpreadDescriptor: text }) })),
          MaxReplicas: count,
          Platforms: fc.array(fc.record({ Architecture: text, OS: text })),
        }),
        Networks: fc.array(fc.record({ Target: text, Aliases: texts, DriverOpts: map })),
        LogDriver: some({ Name: text, Options: map }),
        ForceUpdate: count,
      },
      { requiredKeys: ["ContainerSpec"] },
    ),
    Mode: fc.oneof(
      fc.record({ Replicated: fc.record({ Replicas: fc.integer({ min: 0, max: 9 }) }) }),
      fc.constant({ Global: {} }),
      fc.constant({ GlobalJob: {} }),
      fc.record({ ReplicatedJob: fc.record({ MaxConcurrent: count, TotalCompletions: count }) }),
    ),
    UpdateConfig: update,
    RollbackConfig: update,
    EndpointSpec: fc.record({
      Mode: fc.constantFrom("vip", "dnsrr"),
      Ports: fc.array(
        fc.record({
          Name: text,
          Protocol: fc.constantFrom("tcp", "udp", "sctp"),
          TargetPort: port,
          PublishedPort: port,
          PublishMode: fc.constantFrom("ingress", "host"),
        }),
      ),
    }),
  },
  { requiredKeys: ["TaskTemplate"] },
);

test("of all that the newest API can say, nothing is lost, and showing again changes nothing", () => {
  fc.assert(
    fc.property(anySpec, (given) => {
      const once = again(given as unknown as JsonObject, 50);
      expect(missing(given, once)).toEqual([]);
      expect(again(once as JsonObject, 50)).toEqual(once);
    }),
  );
});

const refused = [
  { what: "no container at all", json: {}, want: /mismatched Runtime and \*Spec fields/ },
  { what: "a plugin", json: { Runtime: "plugin" }, want: /plugins are not part/ },
  { what: "an attachment", json: { Runtime: "attachment" }, want: /"attachment" not supported/ },
  { what: "an unknown runtime", json: { Runtime: "x" }, want: /^unsupported runtime$/ },
  {
    what: "an image for the process runtime",
    json: { Runtime: "process", ContainerSpec: { Image: "alpine" } },
    want: /takes no image/,
  },
  {
    what: "Windows' isolation",
    json: { ContainerSpec: { Image: "a", Isolation: "hyperv" } },
    want: /Windows/,
  },
  {
    what: "a credential spec",
    json: { ContainerSpec: { Privileges: { CredentialSpec: { File: "x" } } } },
    want: /credential specs/,
  },
  {
    what: "a mount of an unknown type",
    json: { ContainerSpec: { Mounts: [{ Type: "floppy" }] } },
    want: /invalid MountType: "floppy"/,
  },
  {
    what: "a restart condition that is none",
    json: { ContainerSpec: {}, RestartPolicy: { Condition: "often" } },
    want: /invalid RestartCondition: "often"/,
  },
  {
    what: "a restart before its time",
    json: { ContainerSpec: {}, RestartPolicy: { Delay: -1e9 } },
    want: /^rpc error: code = InvalidArgument desc = TaskSpec: restart-delay cannot be negative$/,
  },
  {
    what: "a window that ends before it begins",
    json: { ContainerSpec: {}, RestartPolicy: { Window: -1 } },
    want: /desc = TaskSpec: restart-window cannot be negative$/,
  },
  {
    what: "a health check in the past",
    json: { ContainerSpec: { Healthcheck: { Interval: -1 } } },
    want: /desc = ContainerSpec: Interval in HealthConfig cannot be less than 1ms$/,
  },
  {
    what: "fewer retries than none",
    json: { ContainerSpec: { Healthcheck: { Retries: -1 } } },
    want: /desc = ContainerSpec: Retries in HealthConfig cannot be negative$/,
  },
];
for (const { what, json, want } of refused) {
  test(`refused: ${what}`, () => {
    expect(() => serviceSpecFromJson({ TaskTemplate: json }, 50)).toThrow(want);
  });
}
test("refused: an update that looks back", () => {
  const of = (config: object) => () =>
    serviceSpecFromJson({ TaskTemplate: { ContainerSpec: {} }, ...config }, 50);
  expect(of({ UpdateConfig: { Delay: -1 } })).toThrow(/update-delay cannot be negative$/);
  expect(of({ UpdateConfig: { Monitor: -1 } })).toThrow(/update-monitor cannot be negative$/);
  expect(of({ RollbackConfig: { Delay: -1 } })).toThrow(/rollback-delay cannot be negative$/);
});

const FULL = {
  CapabilityAdd: ["NET_ADMIN"],
  Ulimits: [{ Name: "nofile", Hard: 2, Soft: 1 }],
  Healthcheck: { Test: ["CMD", "x"], StartInterval: 5 },
  OomScoreAdj: 5,
};
const versions = [
  { version: 40, shown: { Healthcheck: { Test: ["CMD", "x"] } } },
  { version: 41, shown: { Healthcheck: { Test: ["CMD", "x"] }, ...limited() } },
  { version: 44, shown: { Healthcheck: FULL.Healthcheck, ...limited() } },
  { version: 46, shown: { ...FULL } },
];
function limited(): object {
  return { CapabilityAdd: FULL.CapabilityAdd, Ulimits: FULL.Ulimits };
}
for (const { version, shown } of versions) {
  test(`API 1.${version} knows what it knows, as dockerd has it`, () => {
    const spec = again({ TaskTemplate: { ContainerSpec: FULL } }, version) as {
      TaskTemplate: { ContainerSpec: object };
    };
    expect(spec.TaskTemplate.ContainerSpec).toEqual({ ...shown, Isolation: "default" });
  });
}

test("defaults are shown only to who asks for them, and are SwarmKit's", () => {
  const spec = serviceSpecFromJson({ TaskTemplate: { ContainerSpec: { Image: "a" } } }, 41);
  const service = Service.fromPartial({ id: "s", spec });
  const plain = serviceJson(service, { insertDefaults: false, status: undefined });
  const full = serviceJson(service, { insertDefaults: true, status: undefined });
  expect(plain).not.toHaveProperty("Spec.UpdateConfig");
  expect(full).toMatchObject({
    Spec: {
      TaskTemplate: {
        ContainerSpec: { StopGracePeriod: 10_000_000_000, DNSConfig: {} },
        Resources: { Limits: {}, Reservations: {} },
        RestartPolicy: { Condition: "any", Delay: 5_000_000_000, MaxAttempts: 0 },
        Placement: {},
      },
      UpdateConfig: {
        Parallelism: 1,
        FailureAction: "pause",
        Monitor: 5_000_000_000,
        MaxFailureRatio: 0,
        Order: "stop-first",
      },
    },
    Endpoint: { Spec: {} },
  });
});

test("a client that puts a tag behind the node's own commands changes nothing of the service", () => {
  const of = (image: string) => taskSpecFromJson({ ContainerSpec: { Image: image } }, 50);
  expect(of("process:latest")).toEqual(of("process"));
});

test("the image that stands for the node's own commands makes a service of processes", () => {
  const runtimeOf = (json: JsonObject) => taskSpecFromJson(json, 50).runtime;
  expect(runtimeOf({ ContainerSpec: { Image: "process:latest" } })).toBe("process");
  expect(runtimeOf({ ContainerSpec: { Image: "process" }, Runtime: "container" })).toBe("process");
  expect(runtimeOf({ ContainerSpec: {}, Runtime: "process" })).toBe("process");
  expect(runtimeOf({ ContainerSpec: { Image: "alpine" } })).toBe("container");
  expect(Task.fromPartial({}).spec).toBeUndefined();
});
