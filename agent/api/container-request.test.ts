import { describe, expect, test } from "vitest";
import { containerRequest } from "./container-request.js";

const request = (json: object, version = 50) => containerRequest("c1", json as never, version);

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
    stopSignal: "SIGTERM",
    networkMode: "networks",
    endpoints: [{ network: "overnet", aliases: ["web"], ipv4: "10.0.1.9", ipv6: "" }],
  });
});

describe("the network of a container", () => {
  const cases = [
    ["host", { NetworkMode: "host" }, {}, "host", []],
    ["none", { NetworkMode: "none" }, {}, "none", []],
    ["the mode alone", { NetworkMode: "a" }, {}, "networks", ["a"]],
    ["mode and config of one", { NetworkMode: "a" }, { a: {} }, "networks", ["a"]],
    ["two", { NetworkMode: "a" }, { a: {}, b: {} }, "networks", ["a", "b"]],
  ] as const;
  for (const [name, host, EndpointsConfig, mode, networks] of cases) {
    test(name, () => {
      const json = { HostConfig: host, NetworkingConfig: { EndpointsConfig } };
      const { spec, warnings } = request(json);
      expect(spec.networkMode).toBe(mode);
      expect(spec.endpoints.map(({ network }) => network)).toEqual(networks);
      expect(warnings).toEqual([]);
    });
  }
  test("by default is loopback only, with a warning that says so", () => {
    const { spec, warnings } = request({ NetworkingConfig: { EndpointsConfig: { default: {} } } });
    expect(spec.networkMode).toBe("none");
    expect(warnings.join()).toContain("no default bridge network");
  });
});

describe("refused is", () => {
  const cases = [
    ["an image", { Image: "alpine" }, 501, 'cannot run image "alpine"'],
    [
      "another runtime",
      { HostConfig: { Runtime: "runc" } },
      400,
      "unknown or invalid runtime name: runc",
    ],
    [
      "a port",
      { HostConfig: { PortBindings: { "80/tcp": [{ HostPort: "80" }] } } },
      501,
      "publishing a port",
    ],
    ["a mount", { HostConfig: { Binds: ["/a:/b"] } }, 501, "mounting into a process"],
    ["a memory limit", { HostConfig: { Memory: 1024 } }, 501, "a memory limit (HostConfig.Memory)"],
    ["an OOM score", { HostConfig: { OomScoreAdj: -500 } }, 501, "(HostConfig.OomScoreAdj)"],
    ["shared memory", { HostConfig: { ShmSize: 1 } }, 501, "(HostConfig.ShmSize)"],
    ["an exposed port", { ExposedPorts: { "80/tcp": {} } }, 501, "(Config.ExposedPorts)"],
    [
      "another log driver",
      { HostConfig: { LogConfig: { Type: "syslog" } } },
      501,
      'log driver "syslog"',
    ],
    [
      "a log option",
      { HostConfig: { LogConfig: { Type: "", Config: { "max-size": "1m" } } } },
      501,
      'log option "max-size"',
    ],
    [
      "an option of an endpoint",
      { NetworkingConfig: { EndpointsConfig: { a: { DriverOpts: { x: "y" } } } } },
      501,
      "driver options of an endpoint",
    ],
    [
      "a restart policy",
      { HostConfig: { RestartPolicy: { Name: "always" } } },
      501,
      'restart policy "always"',
    ],
    [
      "another's network",
      { HostConfig: { NetworkMode: "container:c2" } },
      501,
      'network mode "container:c2"',
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
      expect(() => request(json)).toThrow(
        expect.objectContaining({ status, message: expect.stringContaining(says) }),
      );
    });
  }
  test("a second network by a client of before API 1.44", () => {
    const json = { NetworkingConfig: { EndpointsConfig: { overnet: {}, intatt: {} } } };
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
