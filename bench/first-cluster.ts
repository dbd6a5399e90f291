// A swarm of one manager in memory, for benchmarks of its state; and what the heap holds.
import { initCluster } from "../manager/control/cluster.js";
import type { Context } from "../manager/control/context.js";
import type { Draft } from "../manager/store/view.js";
import { Availability } from "../proto/gen/types.js";

/** `subnetSize` 0: the default. */
export function firstCluster(
  draft: Draft,
  ctx: Context,
  { subnetSize = 0, availability = Availability.ACTIVE } = {},
) {
  const bytes = Buffer.alloc(32);
  const wish = {
    clusterId: "bench",
    spec: undefined,
    rootCaCert: bytes,
    rootCaKey: bytes,
    issuerSubject: bytes,
    issuerPublicKey: bytes,
    joinSecrets: { worker: "w", manager: "m" },
    unlockKey: Buffer.alloc(0),
    defaultAddrPools: [],
    subnetSize,
    dataPathPort: 0,
    node: {
      id: "first",
      hostname: "first",
      raftId: 1,
      managerAddr: "172.16.0.1:2377",
      addr: "172.16.0.1",
      dataPathAddr: "172.16.0.1",
      availability,
      publicKeyDigest: Buffer.from("first"),
    },
  };
  return initCluster(draft, wish, ctx);
}

export function heapMib(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed / 2 ** 20;
}
