import { describe, expect, test } from "vitest";
import { FakeSwarm } from "../../test/fakes/agent-swarm.js";
import { clusterInfoJson, specFromJson, swarmJson } from "./cluster-json.js";

test("a spec that is shown and sent back is the same spec", () => {
  const { cluster } = new FakeSwarm(() => 1_795_233_811_000);
  const shown = clusterInfoJson(cluster) as { Spec: never };
  expect(specFromJson(shown.Spec)).toEqual(cluster.spec);
});

test("a year of certificate life survives nanoseconds", () => {
  const yearNs = 365 * 86_400 * 1e9;
  expect(specFromJson({ CAConfig: { NodeCertExpiry: yearNs } }).certExpiryMs).toBe(
    365 * 86_400_000,
  );
});

test("join tokens are in the swarm, and nowhere else", () => {
  const { cluster } = new FakeSwarm(() => 1);
  expect(JSON.stringify(swarmJson(cluster))).toMatch(/SWMTKN-1-[0-9a-z]{50}-0{24}1/);
  expect(JSON.stringify(clusterInfoJson(cluster))).not.toContain("SWMTKN");
});

describe("refused is", () => {
  const cases = [
    ["a negative number of rotations", { CAConfig: { ForceRotate: -1 } }, 400],
    ["a policy of less than nothing", { CAConfig: { AllowExpiredRenewal: -1e9 } }, 400],
    ["an external CA", { CAConfig: { ExternalCAs: [{}] } }, 501],
    ["a certificate that never was", { CAConfig: { NodeCertExpiry: -1e9 } }, 400],
    ["a heartbeat backwards", { Dispatcher: { HeartbeatPeriod: -1 } }, 400],
    ["a heartbeat of a nanosecond", { Dispatcher: { HeartbeatPeriod: 1 } }, 400],
    ["another election time", { Raft: { ElectionTick: 3 } }, 400],
    ["a log driver", { TaskDefaults: { LogDriver: { Name: "syslog" } } }, 501],
    ["a negative history", { Orchestration: { TaskHistoryRetentionLimit: -1 } }, 400],
    ["a spec of another shape", { Raft: [] }, 400],
  ] as const;
  for (const [name, json, status] of cases) {
    test(name, () => {
      expect(() => specFromJson(json as never)).toThrow(expect.objectContaining({ status }));
    });
  }
});
