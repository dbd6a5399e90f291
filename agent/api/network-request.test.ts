import { describe, expect, test } from "vitest";
import { networkSpecFromJson } from "./network-request.js";

test("what the docker CLI sends is a spec", () => {
  const spec = networkSpecFromJson({
    Name: "subn",
    Driver: "overlay",
    Attachable: true,
    IPAM: {
      Driver: "default",
      Options: {},
      Config: [
        { Subnet: "10.77.0.0/24", Gateway: "10.77.0.254", AuxiliaryAddresses: { a: "10.77.0.9" } },
      ],
    },
    Options: { "com.docker.network.driver.mtu": "1300" },
    Labels: { tier: "db" },
    ConfigFrom: null,
  });
  expect(spec).toMatchObject({
    name: "subn",
    attachable: true,
    internal: false,
    ipam: [
      {
        subnet: "10.77.0.0/24",
        gateway: "10.77.0.254",
        ipRange: "",
        auxAddresses: { a: "10.77.0.9" },
      },
    ],
    driverOpts: { "com.docker.network.driver.mtu": "1300" },
    labels: { tier: "db" },
  });
});

test("without IPv4, as --ipv4=false asks, is said in the spec", () => {
  const json = { Name: "six", Driver: "overlay", EnableIPv4: false, EnableIPv6: true };
  expect(networkSpecFromJson(json)).toMatchObject({ noIpv4: true, ipv6: true });
  expect(networkSpecFromJson({ ...json, EnableIPv4: true }).noIpv4).toBeUndefined();
});

describe("refused before a manager is asked is", () => {
  const config = (Subnet: string) => ({ Driver: "overlay", IPAM: { Config: [{ Subnet }] } });
  const cases = [
    [
      "a subnet that is none",
      config("nonsense"),
      400,
      "Invalid subnet nonsense : invalid CIDR address: nonsense",
    ],
    [
      "too long a prefix",
      config("10.0.0.0/33"),
      400,
      "Invalid subnet 10.0.0.0/33 : invalid CIDR address: 10.0.0.0/33",
    ],
    ["an unknown driver", { Driver: "bogus" }, 404, 'plugin "bogus" not found'],
    ["the macvlan driver", { Driver: "macvlan" }, 501, 'networks of the "macvlan" driver'],
    ["a bridge of the swarm", { Driver: "", Scope: "swarm" }, 400, 'invalid scope "swarm"'],
    [
      "a second host network",
      { Driver: "host" },
      403,
      'only one instance of "host" network is allowed',
    ],
    [
      "a name of Docker's",
      { Name: "host", Driver: "overlay" },
      403,
      "operation is not permitted on predefined host network",
    ],
    [
      "a configuration",
      { Driver: "overlay", ConfigOnly: true },
      501,
      "configuration-only networks",
    ],
  ] as const;
  for (const [name, json, status, says] of cases) {
    test(name, () => {
      expect(() => networkSpecFromJson({ Name: "x", ...json } as never)).toThrow(
        expect.objectContaining({ status, message: expect.stringContaining(says) }),
      );
    });
  }
});
