// Every flag of `docker service create` and `docker service update` (series 28, API 1.50), and what inspect
// shows of it afterwards; and services by dockerode.
import Docker from "dockerode";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ApiHost, type ApiLab, apiLab } from "./api-lab.js";
import { hasDocker, saysTheSameWords } from "./docker-client.js";

let lab: ApiLab;
let h1: ApiHost;
beforeAll(async () => {
  lab = await apiLab();
  h1 = lab.hosts.h1;
  await h1.http("POST", "/swarm/init", { AdvertiseAddr: "192.168.133.1" });
  for (const name of ["overnet", "other"]) {
    await h1.http("POST", "/networks/create", { Name: name, Driver: "overlay", Attachable: true });
  }
  for (const kind of ["secrets", "configs"]) {
    for (const name of ["one", "two"]) {
      await h1.http("POST", `/${kind}/create`, { Name: name, Data: "eA==" });
    }
  }
});
afterAll(async () => {
  await lab.close();
});

const CREATE: readonly string[] = [
  ...["service", "create", "-d", "-q", "--no-resolve-image", "--name", "all"],
  ...[
    "--cap-add",
    "NET_ADMIN",
    "--cap-drop",
    "CHOWN",
    "--config",
    "source=one,target=/c,mode=0400",
  ],
  ...["--constraint", "node.role==manager", "--container-label", "c=d", "--dns", "10.1.1.1"],
  ...["--dns-option", "ndots:2", "--dns-search", "example.test", "--endpoint-mode", "dnsrr"],
  ...["--entrypoint", "sh -c", "-e", "K=V", "--generic-resource", "gpu=2", "--group", "audio"],
  ...["--health-cmd", "true", "--health-interval", "5s", "--health-retries", "2"],
  ...["--health-start-period", "1s", "--health-timeout", "3s", "--host", "peer:10.9.9.9"],
  ...["--hostname", "{{.Node.Hostname}}", "--init", "-l", "a=b", "--limit-cpu", "1.5"],
  ...["--limit-memory", "64m", "--limit-pids", "100", "--log-driver", "json-file"],
  ...["--log-opt", "max-size=1m", "--mode", "replicated", "--replicas", "2"],
  ...["--mount", "type=bind,source=/a,target=/b,readonly,bind-propagation=rshared"],
  ...["--mount", "type=volume,source=vol,target=/v,volume-nocopy,volume-label=x=y,volume-opt=o=p"],
  ...["--mount", "type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=1770"],
  ...[
    "--network",
    "name=overnet,alias=foo,driver-opt=k=v",
    "--placement-pref",
    "spread=node.labels.rack",
  ],
  ...["--publish", "mode=host,target=80,published=8080,protocol=udp", "--read-only"],
  ...["--replicas-max-per-node", "3", "--reserve-cpu", ".5", "--reserve-memory", "32m"],
  ...["--restart-condition", "on-failure", "--restart-delay", "2s", "--restart-max-attempts", "4"],
  ...["--restart-window", "1m", "--rollback-delay", "3s", "--rollback-failure-action", "continue"],
  ...[
    "--rollback-max-failure-ratio",
    ".25",
    "--rollback-monitor",
    "4s",
    "--rollback-order",
    "start-first",
  ],
  ...["--rollback-parallelism", "2", "--secret", "source=one,target=/s,uid=1,gid=2,mode=0440"],
  ...["--stop-grace-period", "20s", "--stop-signal", "SIGINT", "--sysctl", "net.core.somaxconn=9"],
  ...[
    "-t",
    "--ulimit",
    "nofile=10:20",
    "--update-delay",
    "1s",
    "--update-failure-action",
    "rollback",
  ],
  ...[
    "--update-max-failure-ratio",
    ".5",
    "--update-monitor",
    "6s",
    "--update-order",
    "start-first",
  ],
  ...["--update-parallelism", "3", "-u", "app", "-w", "/w"],
  // Younger than series 20.10.
  ...(saysTheSameWords ? ["--oom-score-adj", "5"] : []),
  ...["alpine:3", "echo hi"],
];

const S = 1_000_000_000;
const SHOWN = {
  Name: "all",
  Labels: { a: "b" },
  TaskTemplate: {
    ContainerSpec: {
      Image: "alpine:3",
      Labels: { c: "d" },
      Command: ["sh", "-c"],
      Args: ["echo hi"],
      Hostname: "{{.Node.Hostname}}",
      Env: ["K=V"],
      Dir: "/w",
      User: "app",
      Groups: ["audio"],
      Init: true,
      StopSignal: "SIGINT",
      TTY: true,
      ReadOnly: true,
      Mounts: [
        {
          Type: "bind",
          Source: "/a",
          Target: "/b",
          ReadOnly: true,
          BindOptions: { Propagation: "rshared" },
        },
        {
          Type: "volume",
          Source: "vol",
          Target: "/v",
          VolumeOptions: {
            NoCopy: true,
            Labels: { x: "y" },
            DriverConfig: { Options: { o: "p" } },
          },
        },
        { Type: "tmpfs", Target: "/t", TmpfsOptions: { SizeBytes: 1 << 20, Mode: 0o1770 } },
      ],
      StopGracePeriod: 20 * S,
      Healthcheck: {
        Test: ["CMD-SHELL", "true"],
        Interval: 5 * S,
        Timeout: 3 * S,
        StartPeriod: S,
        Retries: 2,
      },
      Hosts: ["10.9.9.9 peer"],
      DNSConfig: { Nameservers: ["10.1.1.1"], Search: ["example.test"], Options: ["ndots:2"] },
      Secrets: [
        {
          File: { Name: "/s", UID: "1", GID: "2", Mode: 0o440 },
          SecretID: expect.any(String),
          SecretName: "one",
        },
      ],
      Configs: [
        {
          File: { Name: "/c", UID: "0", GID: "0", Mode: 0o400 },
          ConfigID: expect.any(String),
          ConfigName: "one",
        },
      ],
      Isolation: "default",
      Sysctls: { "net.core.somaxconn": "9" },
      CapabilityAdd: ["CAP_NET_ADMIN"],
      CapabilityDrop: ["CAP_CHOWN"],
      Ulimits: [{ Name: "nofile", Hard: 20, Soft: 10 }],
      ...(saysTheSameWords ? { OomScoreAdj: 5 } : {}),
    },
    Resources: {
      Limits: { NanoCPUs: 1.5 * S, MemoryBytes: 64 << 20, Pids: 100 },
      Reservations: {
        NanoCPUs: 0.5 * S,
        MemoryBytes: 32 << 20,
        GenericResources: [{ DiscreteResourceSpec: { Kind: "gpu", Value: 2 } }],
      },
    },
    RestartPolicy: { Condition: "on-failure", Delay: 2 * S, MaxAttempts: 4, Window: 60 * S },
    Placement: {
      Constraints: ["node.role==manager"],
      Preferences: [{ Spread: { SpreadDescriptor: "node.labels.rack" } }],
      MaxReplicas: 3,
    },
    Networks: [{ Target: expect.any(String), Aliases: ["foo"], DriverOpts: { k: "v" } }],
    LogDriver: { Name: "json-file", Options: { "max-size": "1m" } },
    ForceUpdate: 0,
    Runtime: "container",
  },
  Mode: { Replicated: { Replicas: 2 } },
  UpdateConfig: {
    Parallelism: 3,
    Delay: S,
    FailureAction: "rollback",
    Monitor: 6 * S,
    MaxFailureRatio: 0.5,
    Order: "start-first",
  },
  RollbackConfig: {
    Parallelism: 2,
    Delay: 3 * S,
    FailureAction: "continue",
    Monitor: 4 * S,
    MaxFailureRatio: 0.25,
    Order: "start-first",
  },
  EndpointSpec: {
    Mode: "dnsrr",
    Ports: [{ Protocol: "udp", TargetPort: 80, PublishedPort: 8080, PublishMode: "host" }],
  },
};

const UPDATE: readonly string[] = [
  ...["service", "update", "-d", "-q", "--no-resolve-image", "--force", "--image", "alpine:4"],
  ...["--args", "echo ho", "--cap-add", "SYS_TIME", "--config-add", "two", "--config-rm", "one"],
  ...["--constraint-add", "node.platform.os==linux", "--container-label-add", "e=f"],
  ...["--dns-add", "10.2.2.2", "--dns-rm", "10.1.1.1", "--env-add", "L=W", "--env-rm", "K"],
  ...["--generic-resource-add", "fpga=1", "--group-add", "video", "--host-add", "q:10.8.8.8"],
  ...["--label-add", "g=h", "--label-rm", "a", "--mount-add", "type=bind,source=/x,target=/y"],
  ...["--mount-rm", "/t", "--network-add", "other", "--network-rm", "overnet", "--no-healthcheck"],
  ...[
    "--placement-pref-add",
    "spread=node.labels.dc",
    "--publish-rm",
    "mode=host,target=80,protocol=udp",
  ],
  ...[
    "--publish-add",
    "mode=host,target=90,published=9090",
    "--replicas",
    "1",
    "--read-only=false",
  ],
  ...["--secret-add", "two", "--secret-rm", "one", "--sysctl-add", "net.core.rmem_max=1"],
  ...[
    "--ulimit-rm",
    "nofile",
    "--update-parallelism",
    "0",
    "--user",
    "root",
    "--with-registry-auth",
  ],
  ...["--limit-memory", "0", "--stop-grace-period", "0s", "all"],
];

describe.skipIf(!hasDocker)("the docker CLI", () => {
  test("every flag of service create is in what inspect shows", async () => {
    const ran = await h1.docker(CREATE);
    expect([ran.exitCode, ran.stderr]).toEqual([0, ""]);
    const { stdout } = await h1.docker(["service", "inspect", "all"]);
    const [service] = JSON.parse(stdout) as { Spec: unknown }[];
    // What was not asked for is shown only as the default that holds.
    expect(service?.Spec).toEqual(SHOWN);
  });

  test("every kind of flag of service update changes what it names and nothing else", async () => {
    const ran = await h1.docker(UPDATE);
    expect([ran.exitCode, ran.stderr]).toEqual([0, ""]);
    const answer = await h1.http("GET", "/v1.50/services/all");
    const { Spec, PreviousSpec } = answer.json as { Spec: typeof SHOWN; PreviousSpec: unknown };
    expect(PreviousSpec).toEqual(SHOWN);
    const container = Spec.TaskTemplate.ContainerSpec;
    expect(Spec).toMatchObject({ Labels: { g: "h" }, Mode: { Replicated: { Replicas: 1 } } });
    expect(container).toMatchObject({
      Image: "alpine:4",
      Args: ["echo", "ho"],
      Env: ["L=W"],
      User: "root",
      Groups: ["audio", "video"],
      Hosts: ["10.9.9.9 peer", "10.8.8.8 q"],
      Healthcheck: { Test: ["NONE"] },
      CapabilityAdd: ["CAP_NET_ADMIN", "CAP_SYS_TIME"],
      StopGracePeriod: 0,
      StopSignal: "SIGINT",
    });
    expect(container).not.toHaveProperty("ReadOnly");
    expect(container).not.toHaveProperty("Ulimits");
    expect(container.Mounts.map(({ Target }) => Target)).toEqual(["/b", "/y", "/v"]);
    expect(container.Secrets.map(({ SecretName }) => SecretName)).toEqual(["two"]);
    expect(container.Configs.map(({ ConfigName }) => ConfigName)).toEqual(["two"]);
    expect(Spec.TaskTemplate.ForceUpdate).toBe(1);
    expect(Spec.TaskTemplate.Resources.Limits).not.toHaveProperty("MemoryBytes");
    expect(Spec.EndpointSpec.Ports.map(({ TargetPort }) => TargetPort)).toEqual([90]);
    expect(Spec.UpdateConfig).toMatchObject({ Parallelism: 0, Delay: S });
  });

  const REFUSED = [
    { flags: ["--isolation", "hyperv"], says: /isolation "hyperv" is Windows' own/ },
    { flags: ["--credential-spec", "file://x.json"], says: /credential specs .* Windows' own/ },
    { flags: ["--network", "none"], says: /network:? none/ },
  ];
  for (const { flags, says } of REFUSED) {
    test(`what is refused says why: ${flags.join(" ")}`, async () => {
      const ran = await h1.docker(["service", "create", "-d", ...flags, "alpine"]);
      expect(ran.exitCode).toBe(1);
      expect(ran.stderr).toMatch(says);
    });
  }

  test("the host's own network is one that a service may have", async () => {
    const ran = await h1.docker(["service", "create", "-d", "--network", "host", "alpine"]);
    expect(ran.exitCode, ran.stderr).toBe(0);
    const pretty = await h1.docker(["service", "inspect", "--pretty", ran.stdout.trim()]);
    expect(pretty.stdout).toContain("Networks: host");
  });

  test("a service that was given no name is called something", async () => {
    const ran = await h1.docker(["service", "create", "-d", "alpine"]);
    const format = ["service", "inspect", "-f", "{{.Spec.Name}}", ran.stdout.trim()];
    expect((await h1.docker(format)).stdout).toMatch(/^[a-z]+_[a-z]+\d*\n$/);
  });
});

describe("dockerode", () => {
  test("makes, finds, changes and removes a service, and sees its tasks", async () => {
    const docker = new Docker({ socketPath: h1.socketPath, version: "v1.50" });
    const made = await docker.createService({
      Name: "rode",
      TaskTemplate: { ContainerSpec: { Image: "process", Command: ["sleep", "1d"] } },
      Mode: { Replicated: { Replicas: 2 } },
    });
    const service = docker.getService(made.id);
    const { Spec, Version } = await service.inspect();
    expect(Spec.TaskTemplate).toMatchObject({ ContainerSpec: { Image: "process" } });
    await service.update({
      ...Spec,
      version: Version.Index,
      Mode: { Replicated: { Replicas: 3 } },
    });
    const tasks = await docker.listTasks({ filters: { service: ["rode"] } });
    expect(tasks.map(({ Slot, Status }) => [Slot, Status.State])).toEqual([
      [1, "running"],
      [2, "running"],
      [3, "running"],
    ]);
    await service.remove();
    await expect(docker.getTask(tasks[0].ID).inspect()).rejects.toMatchObject({ statusCode: 404 });
    await expect(service.inspect()).rejects.toMatchObject({ statusCode: 404 });
  });

  test("makes and changes a config, and never sees a secret's bytes", async () => {
    const docker = new Docker({ socketPath: h1.socketPath, version: "v1.50" });
    const { id } = await docker.createConfig({ Name: "conf", Labels: {}, Data: "aGk=" });
    const config = docker.getConfig(id);
    const before = await config.inspect();
    expect(before.Spec?.Data).toBe("aGk=");
    await config.update({ ...before.Spec, Labels: { a: "b" }, version: before.Version?.Index });
    expect((await config.inspect()).Spec?.Labels).toEqual({ a: "b" });
    const secrets = await h1.http("GET", "/secrets");
    expect(secrets.text).not.toContain("Data");
  });
});

describe("what is asked wrongly", () => {
  const cases = [
    ["GET", "/v1.41/tasks/nosuch", 404, "task nosuch not found"],
    ["DELETE", "/v1.41/services/nosuch", 404, "service nosuch not found"],
    ["GET", "/secrets/nosuch", 404, "secret nosuch not found"],
    ["DELETE", "/configs/nosuch", 404, "config nosuch not found"],
    ["GET", '/services?filters={"color":["red"]}', 400, "Invalid filter 'color'"],
    [
      "GET",
      '/tasks?filters={"desired-state":["asleep"]}',
      400,
      "Invalid desired-state filter: 'asleep'",
    ],
    ["GET", '/tasks?filters={"service":["nosuch"]}', 404, "service nosuch not found"],
    ["GET", '/tasks?filters={"node":["nosuch"]}', 404, "node nosuch not found"],
    ["POST", "/services/all/update?version=x", 400, "invalid version 'x': it must be a number"],
    ["POST", "/services/all/update", 400, "invalid service version ''"],
    ["GET", "/services/all/logs", 400, "Bad parameters: you must choose at least one stream"],
    ["GET", "/services/all/logs?stdout=1&tail=-1", 400, "negative tail values not supported"],
  ] as const;
  for (const [method, path, status, message] of cases) {
    test(`${method} ${path}`, async () => {
      await h1.http("POST", "/services/create", body("all"));
      const answer = await h1.http(
        method,
        encodeURI(path),
        method === "POST" ? body("all") : undefined,
      );
      expect([answer.status, answer.json]).toEqual([status, { message }]);
    });
  }

  test("a worker sends people to a manager, whatever they ask", async () => {
    for (const path of [
      "/services",
      "/tasks",
      "/secrets",
      "/configs",
      "/services/x/logs?stdout=1",
    ]) {
      const answer = await lab.hosts.h2.http("GET", path);
      expect([answer.status, answer.text]).toEqual([
        503,
        expect.stringContaining("This node is not a swarm manager"),
      ]);
    }
  });
});

function body(name: string): object {
  return { Name: name, TaskTemplate: { ContainerSpec: { Image: "alpine" } } };
}
