import { describe, expect, test } from "vitest";
import { isRefusal } from "../../common/fault.js";
import { formatJoinToken } from "../../common/join-token.js";
import { Cluster, Node, Role } from "../../proto/gen/types.js";
import { CERT_LIFE_MIN_MS, CERT_LIFE_MS, certLifeMs, decideIssue } from "./issue.js";

const rootDigest = Buffer.alloc(32, 1);
const secrets = { worker: "w".repeat(25), manager: "m".repeat(25) };
const cluster = Cluster.fromPartial({ id: "c", joinSecrets: secrets, removedNodes: ["gone"] });
const token = (secret: string, digest = rootDigest) =>
  formatJoinToken({ rootDigest: digest, secret });

const seat = { raftId: 1, addr: "a:1" };
const node = (id: string, wanted: Role, role: Role, manager?: typeof seat) =>
  Node.fromPartial({ id, spec: { role: wanted }, role, ...(manager && { manager }) });
const { WORKER, MANAGER } = Role;
const nodes = new Map(
  [
    node("worker", WORKER, WORKER),
    node("manager", MANAGER, MANAGER, seat),
    node("promoted", MANAGER, WORKER),
    node("demoted", WORKER, MANAGER, seat),
    node("demoted and out", WORKER, MANAGER),
  ].map((each) => [each.id, each]),
);

describe("who may be whom", () => {
  const cases = [
    { name: "the worker token", token: token(secrets.worker), want: "join 0" },
    { name: "the manager token", token: token(secrets.manager), want: "join 1" },
    { name: "a wrong secret", token: token("x".repeat(25)), want: "invalid-argument" },
    {
      name: "the right secret of another root",
      token: token(secrets.worker, Buffer.alloc(32, 2)),
      want: "invalid-argument",
    },
    { name: "a token that is none", token: "SWMTKN-1-bad", want: "invalid-argument" },
    { name: "nothing at all", want: "invalid-argument" },
    { name: "a worker's certificate", caller: "worker", want: "renew worker 0" },
    { name: "a manager's certificate", caller: "manager", want: "renew manager 1" },
    { name: "a promoted worker's", caller: "promoted", want: "renew promoted 1" },
    { name: "one demoted, still seated", caller: "demoted", want: "renew demoted 1" },
    { name: "one demoted, seat gone", caller: "demoted and out", want: "renew demoted and out 0" },
    { name: "a removed node's certificate", caller: "gone", want: "permission-denied" },
    { name: "a node nobody knows", caller: "unknown", want: "permission-denied" },
    {
      name: "a token with an old certificate: the token counts",
      token: token(secrets.worker),
      caller: "gone",
      want: "join 0",
    },
  ];
  for (const { name, want, ...asked } of cases) {
    test(`${name}: ${want}`, () => {
      const question = { token: asked.token ?? "", rootDigest, callerNodeId: asked.caller };
      const answer = decideIssue(cluster, (id) => nodes.get(id), question);
      const got = isRefusal(answer)
        ? answer.code
        : [answer.kind, ...("nodeId" in answer ? [answer.nodeId] : []), answer.role].join(" ");
      expect(got).toBe(want);
    });
  }
});

test("certificates last 90 days unless the swarm says otherwise, and never under an hour", () => {
  const lasting = (certExpiryMs: number) =>
    certLifeMs(Cluster.fromPartial({ spec: { certExpiryMs } }));
  expect(lasting(0)).toBe(CERT_LIFE_MS);
  expect(lasting(1)).toBe(CERT_LIFE_MIN_MS);
  expect(lasting(7_200_000)).toBe(7_200_000);
});
