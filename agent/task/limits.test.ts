import { expect, test } from "vitest";
import { isRefusal } from "../../common/fault.js";
import { EMPTY_SPEC, type Limits } from "./container-spec.js";
import { withLimits } from "./limits.js";

const NONE = EMPTY_SPEC.limits;
const MB = 1024 * 1024;

test.each<[what: string, have: Partial<Limits>, asked: Partial<Limits>, then: Partial<Limits>]>([
  [
    "what is not said stays",
    { cpuShares: 5, memoryBytes: 9 * MB },
    { cpuShares: 7 },
    { cpuShares: 7, memoryBytes: 9 * MB },
  ],
  [
    "the swap that was meant is kept",
    { memoryBytes: 10 * MB },
    { memoryBytes: 15 * MB },
    { memoryBytes: 15 * MB, memorySwapBytes: 20 * MB },
  ],
  [
    "both at the same time",
    { memoryBytes: 10 * MB },
    { memoryBytes: 30 * MB, memorySwapBytes: -1 },
    { memoryBytes: 30 * MB, memorySwapBytes: -1 },
  ],
  ["no limit of processes any more", { pids: 50 }, { pids: -1 }, { pids: 0 }],
])("%s", (_what, have, asked, then) => {
  expect(withLimits({ ...NONE, ...have }, { ...NONE, ...asked })).toEqual({ ...NONE, ...then });
});

test.each<[have: Partial<Limits>, asked: Partial<Limits>, says: string]>([
  [
    { memoryBytes: 10 * MB },
    { memoryBytes: 30 * MB },
    "Memory limit should be smaller than already set memoryswap limit",
  ],
  [
    { nanoCpus: 1e9 },
    { cpuQuotaUs: 5000 },
    "CPU Quota cannot be updated as NanoCPUs has already been set",
  ],
  [
    { nanoCpus: 1e9 },
    { cpuPeriodUs: 5000 },
    "CPU Period cannot be updated as NanoCPUs has already been set",
  ],
  [
    { cpuQuotaUs: 5000 },
    { nanoCpus: 1e9 },
    "Nano CPUs cannot be updated as CPU Quota has already been set",
  ],
  [
    { cpuPeriodUs: 5000 },
    { nanoCpus: 1e9 },
    "Nano CPUs cannot be updated as CPU Period has already been set",
  ],
])("%o and %o cannot stand together", (have, asked, says) => {
  const refusal = withLimits({ ...NONE, ...have }, { ...NONE, ...asked });
  expect(isRefusal(refusal) && refusal.message).toContain(says);
});
