import { describe, expect, test } from "vitest";
import { isRefusal } from "../../common/fault.js";
import { Node, Role } from "../../proto/gen/types.js";
import { parseConstraints, satisfies } from "./constraint.js";

describe("what is no constraint is refused in SwarmKit's words", () => {
  const cases = [
    { text: "nonsense", want: "constraint expected one operator from ==, !=" },
    { text: "node.role=manager", want: "constraint expected one operator from ==, !=" },
    { text: "", want: "constraint expected one operator from ==, !=" },
    { text: "1node==a", want: "key '1node' is invalid" },
    { text: "==a", want: "key '' is invalid" },
    { text: "node.labels.a b == c", want: "key 'node.labels.a b' is invalid" },
    { text: "node.id==", want: "value '' is invalid" },
    { text: "node.labels.a==<b>", want: "value '<b>' is invalid" },
  ];
  for (const { text, want } of cases) {
    test(`"${text}"`, () => {
      const got = parseConstraints(["node.role==worker", text]);
      expect(isRefusal(got) && got.message).toBe(want);
    });
  }
});

describe("a node satisfies", () => {
  const node = Node.fromPartial({
    id: "n1",
    role: Role.MANAGER,
    addr: "192.168.33.11",
    spec: { labels: { zone: "east", Rack: "7" } },
    description: {
      hostname: "h1",
      platform: { architecture: "x86_64", os: "linux" },
      engineLabels: { disk: "ssd" },
    },
  });
  const cases: readonly [string, boolean][] = [
    ["node.id==n1", true],
    ["node.id != n1", false],
    ["NODE.HOSTNAME == H1", true],
    ["node.role==manager", true],
    ["node.role!=manager", false],
    ["node.role==worker", false],
    ["node.labels.zone==east", true],
    ["node.labels.Zone==east", false],
    ["node.labels.Rack==7", true],
    ["node.labels.zone!=west", true],
    ["node.labels.none!=x", true],
    ["node.labels.none==x", false],
    ["engine.labels.disk==SSD", true],
    ["node.platform.os==linux", true],
    ["node.platform.arch==amd64", true],
    ["node.platform.arch==x86_64", true],
    ["node.platform.arch!=aarch64", true],
    ["node.ip==192.168.33.11", true],
    ["node.ip==192.168.33.12", false],
    ["node.ip!=192.168.33.12", true],
    ["node.ip==192.168.33.0/24", true],
    ["node.ip!=192.168.33.0/24", false],
    ["node.ip==10.0.0.0/8", false],
    ["node.ip!=nonsense", false],
    ["node.zone!=east", false],
    ["node.labels.!=east", false],
  ];
  for (const [text, want] of cases) {
    test(`${text}: ${want ? "yes" : "no"}`, () => {
      const constraints = parseConstraints([text]);
      expect(!isRefusal(constraints) && satisfies(node, constraints)).toBe(want);
    });
  }
});
