import { describe, expect, test } from "vitest";
import { containerRequest } from "./container-request.js";

const request = (json: object, version = 50) =>
  containerRequest("c1", json as never, version, true);

test("what the docker CLI sends for a process is a spec without warnings", () => {
  const { spec, warnings } = request({
    Image: "process",
    Cmd: ["ping", "-c1", "web"],
    Env: null,
    Tty: true,
    HostConfig: {
      NetworkMode: "overnet",
      AutoRemove: true,
      RestartPolicy: { Name: "no", MaximumRetryCount: 0 },
      MemorySwappiness: -1,
      PortBindings: {},
      Dns: [],
      Init: null,
      Privileged: false,
      Memory: 0,
    },
    NetworkingConfig: {
      EndpointsConfig: {
        overnet: { IPAMConfig: { IPv4Address: "10.0.1.9" }, Aliases: ["web"], MacAddress: "" },
      },
    },
  });
  expect(warnings).toEqual([]);
  expect(spec).toMatchObject({
    name: "c1",
    image: "process",
    command: ["ping", "-c1", "web"],
    tty: true,
    autoRemove: true,
    stopSignal: "",
    networkMode: "networks",
    endpoints: [{ network: "overnet", aliases: ["web"], ipv4: "10.0.1.9", ipv6: "" }],
  });
});

describe("the network of a container", () => {
  const cases = [
    ["host", { NetworkMode: "host" }, {}, "host", []],
    ["none", { NetworkMode: "none" }, {}, "none", []],
    ["the mode alone", { NetworkMode: "a" }, {}, "networks", ["a"]],
    ["another's", { NetworkMode: "container:c2" }, { "container:c2": {} }, "container", []],
    ["mode and config of one", { NetworkMode: "a" }, { a: {} }, "networks", ["a"]],
    ["two", { NetworkMode: "a" }, { a: {}, b: {} }, "networks", ["a", "b"]],
  ] as const;
  for (const [name, host, EndpointsConfig, mode, networks] of cases) {
    test(name, () => {
      const json = { Image: "process", HostConfig: host, NetworkingConfig: { EndpointsConfig } };
      const { spec, warnings } = request(json);
      expect(spec.networkMode).toBe(mode);
      expect(spec.endpoints.map(({ network }) => network)).toEqual(networks);
      expect(warnings).toEqual([]);
    });
  }
  test("by default is the node's own bridge", () => {
    const { spec, warnings } = request({ Image: "alpine", HostConfig: { NetworkMode: "default" } });
    expect(spec.endpoints).toEqual([{ network: "bridge", aliases: [], ipv4: "", ipv6: "" }]);
    expect(warnings).toEqual([]);
  });
  test("by default is loopback only where there is no bridge, with a warning that says so", () => {
    const json = { Image: "process", NetworkingConfig: { EndpointsConfig: { default: {} } } };
    const { spec, warnings } = containerRequest("c1", json, 50, false);
    expect(spec.networkMode).toBe("none");
    expect(warnings.join()).toContain("no default bridge network");
  });
});

test("what docker run may say of an image's container", () => {
  const { spec, warnings } = request({
    Image: "alpine",
    Entrypoint: [""],
    StdinOnce: true,
    ExposedPorts: { "80/tcp": {}, "53/udp": {} },
    Volumes: { "/scratch": {} },
    Healthcheck: { Test: ["CMD-SHELL", "ok"], Interval: 2_000_000_000, Retries: 2 },
    HostConfig: {
      Binds: ["/a:/b:ro,rslave", "data:/data:nocopy"],
      Mounts: [
        { Type: "volume", Target: "/v", VolumeOptions: { NoCopy: true, Subpath: "s" } },
        { Type: "tmpfs", Target: "/t", TmpfsOptions: { SizeBytes: 5, Mode: 0o700 } },
      ],
      Tmpfs: { "/run": "size=64m,mode=755,exec" },
      PortBindings: { "80/tcp": [{ HostIp: "0.0.0.0", HostPort: "8080" }], "53/udp": [] },
      Memory: 64 << 20,
      NanoCpus: 5e8,
      PidsLimit: 10,
      MemorySwappiness: -1,
      Ulimits: [{ Name: "nofile", Soft: 1, Hard: 2 }],
      CapAdd: ["net_admin", "CAP_SYS_TIME"],
      CapDrop: ["ALL"],
      SecurityOpt: ["no-new-privileges", "seccomp=unconfined"],
      ReadonlyRootfs: true,
      Init: true,
      Sysctls: { "net.ipv4.ip_forward": "1" },
      RestartPolicy: { Name: "on-failure", MaximumRetryCount: 3 },
      LogConfig: { Type: "json-file", Config: { "max-size": "10m", "max-file": "3" } },
      Dns: ["192.0.2.1"],
      ExtraHosts: ["h:192.0.2.2", "gw:host-gateway"],
    },
  });
  expect(warnings).toEqual([]);
  expect(spec).toMatchObject({
    runtime: "containerd",
    entrypoint: [""],
    stdinOnce: true,
    exposed: ["80/tcp", "53/udp"],
    ports: [
      { containerPort: 80, protocol: "tcp", hostIp: "", hostPort: 8080 },
      { containerPort: 53, protocol: "udp", hostIp: "", hostPort: 0 },
    ],
    healthCheck: { test: ["CMD-SHELL", "ok"], intervalMs: 2_000, retries: 2, timeoutMs: 0 },
    limits: { memoryBytes: 64 << 20, nanoCpus: 5e8, pids: 10, memorySwappiness: undefined },
    ulimits: [{ name: "nofile", soft: 1, hard: 2 }],
    security: {
      capAdd: ["CAP_NET_ADMIN", "CAP_SYS_TIME"],
      capDrop: ["ALL"],
      noNewPrivileges: true,
      seccomp: "unconfined",
      readOnlyRoot: true,
    },
    init: true,
    restart: { name: "on-failure", maximumRetries: 3 },
    log: { driver: "json-file", maxBytes: 10 << 20, maxFiles: 3 },
    extraHosts: ["h:192.0.2.2", "gw:host-gateway"],
  });
  expect(spec.mounts).toMatchObject([
    { kind: "bind", source: "/a", target: "/b", readOnly: true, propagation: "rslave" },
    { kind: "volume", source: "data", target: "/data", noCopy: true, createSource: false },
    { kind: "volume", source: "", target: "/v", noCopy: true, subpath: "s" },
    { kind: "tmpfs", target: "/t", tmpfsBytes: 5, tmpfsMode: 0o700 },
    {
      kind: "tmpfs",
      target: "/run",
      tmpfsBytes: 64 << 20,
      tmpfsMode: 0o755,
      tmpfsOptions: ["exec"],
    },
    { kind: "volume", source: "", target: "/scratch" },
  ]);
});

test("--no-healthcheck is none, whatever the image says; nothing said is the image's", () => {
  const check = (Healthcheck: object | null) =>
    request({ Image: "alpine", Healthcheck }).spec.healthCheck;
  expect(check({ Test: ["NONE"] })).toBeNull();
  expect(check(null)).toBeUndefined();
});

test("a range of host ports, and the streams that were to be attached", () => {
  const json = {
    Image: "alpine",
    AttachStdout: true,
    AttachStderr: true,
    HostConfig: { PortBindings: { "80/tcp": [{ HostPort: "8000-8010" }] } },
  };
  const { spec } = request(json);
  expect(spec.ports).toMatchObject([{ containerPort: 80, hostPort: 8000, hostPortLast: 8010 }]);
  expect(spec.attached).toEqual(["stdout", "stderr"]);
});

describe("refused is", () => {
  const cases = [
    [
      "a range of host ports from behind",
      { HostConfig: { PortBindings: { "80/tcp": [{ HostPort: "8010-8000" }] } } },
      400,
      'invalid port specification: "8010-8000"',
    ],
    ["no image", {}, 400, "no image was named"],
    ["another runtime", { HostConfig: { Runtime: "kata" } }, 400, "Unknown runtime specified kata"],
    ["privileged mode", { HostConfig: { Privileged: true } }, 501, "privileged mode"],
    ["a device", { HostConfig: { Devices: [{ PathOnHost: "/dev/x" }] } }, 501, "giving devices"],
    [
      "the host's pids",
      { HostConfig: { PidMode: "host" } },
      501,
      "a PID mode (HostConfig.PidMode)",
    ],
    ["open /proc", { HostConfig: { MaskedPaths: [] } }, 501, "what of /proc is hidden"],
    [
      "a capability of no kernel",
      { HostConfig: { CapAdd: ["CAP_FLY"] } },
      400,
      'invalid CapAdd: unknown capability: "CAP_FLY"',
    ],
    ["a bad mount", { HostConfig: { Binds: ["/a:/b:huh"] } }, 400, "invalid mode: huh"],
    [
      "a bad port",
      { HostConfig: { PortBindings: { "x/tcp": [] } } },
      400,
      'invalid port specification: "x/tcp"',
    ],
    ["a bad host", { HostConfig: { ExtraHosts: ["h:x\ny"] } }, 400, "bad format for add-host"],
    [
      "an unknown restart policy",
      { HostConfig: { RestartPolicy: { Name: "sometimes" } } },
      400,
      "invalid restart policy 'sometimes'",
    ],
    [
      "an address on the default bridge",
      {
        NetworkingConfig: {
          EndpointsConfig: { default: { IPAMConfig: { IPv4Address: "1.2.3.4" } } },
        },
      },
      400,
      "user specified IP address is supported on user defined networks only",
    ],
    [
      "another log driver",
      { HostConfig: { LogConfig: { Type: "syslog" } } },
      501,
      'log driver "syslog"',
    ],
    [
      "a log driver that nobody knows",
      { HostConfig: { LogConfig: { Type: "bogus" } } },
      400,
      "logger: no log driver named 'bogus' is registered",
    ],
    [
      "a log option that nobody knows",
      { HostConfig: { LogConfig: { Type: "", Config: { bogus: "x" } } } },
      400,
      "unknown log opt 'bogus' for json-file log driver",
    ],
    [
      "a capability of no kernel, as the CLI writes it",
      { HostConfig: { CapAdd: ["CAP_BOGUS"] } },
      400,
      'unknown capability: "CAP_BOGUS"',
    ],
    [
      "a log option",
      { HostConfig: { LogConfig: { Type: "", Config: { tag: "x" } } } },
      501,
      'log option "tag"',
    ],
    [
      "an option of an endpoint",
      { NetworkingConfig: { EndpointsConfig: { a: { DriverOpts: { x: "y" } } } } },
      501,
      "driver options of an endpoint",
    ],
    [
      "another's network, with ports of its own",
      { HostConfig: { NetworkMode: "container:c2", PortBindings: { "80/tcp": [{}] } } },
      400,
      "conflicting options: port publishing and the container type network mode",
    ],
    [
      "another's network, with a name of its own",
      { Hostname: "h", HostConfig: { NetworkMode: "container:c2" } },
      400,
      "conflicting options: hostname and the network mode",
    ],
    [
      "nobody's network",
      { HostConfig: { NetworkMode: "container:" } },
      400,
      "invalid container format container:<name|id>",
    ],
    [
      "a wrong type",
      { Tty: "yes" },
      400,
      "json: cannot unmarshal string into field Tty of type bool",
    ],
  ] as const;
  for (const [name, json, status, says] of cases) {
    test(name, () => {
      const asked = name === "no image" ? json : { Image: "alpine", ...json };
      expect(() => request(asked)).toThrow(
        expect.objectContaining({ status, message: expect.stringContaining(says) }),
      );
    });
  }
  test("a second network by a client of before API 1.44", () => {
    const EndpointsConfig = { overnet: {}, intatt: {} };
    const json = { Image: "process", NetworkingConfig: { EndpointsConfig } };
    expect(() => request(json, 41)).toThrow(
      "Container cannot be connected to network endpoints: intatt, overnet",
    );
  });
});

test("an image beside --runtime process is not used, and that is said", () => {
  const { spec, warnings } = request({
    Image: "alpine",
    HostConfig: { Runtime: "process", NetworkMode: "host" },
  });
  expect(spec.runtime).toBe("process");
  expect(warnings).toEqual([
    'Image "alpine" is not used: the process runtime runs a command of this machine.',
  ]);
});
