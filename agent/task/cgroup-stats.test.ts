import { expect, test } from "vitest";
import { networksOf, statsOfV1, statsOfV2 } from "./cgroup-stats.js";

test("version 2", () => {
  const files: Record<string, string> = {
    "cpu.stat": "usage_usec 10\nuser_usec 6\nsystem_usec 4\nnr_throttled 2\nthrottled_usec 3\n",
    "memory.current": "4096\n",
    "memory.max": "max\n",
    "memory.stat": "anon 1\ninactive_file 100\n",
    "pids.current": "3\n",
    "pids.max": "10\n",
    "io.stat": "8:0 rbytes=5 wbytes=6 rios=1 wios=1\n8:16 rbytes=1 wbytes=1\n",
  };
  expect(statsOfV2((file) => files[file] ?? "")).toEqual({
    ...{ cpuTotalNs: 10_000, cpuUserNs: 6_000, cpuSystemNs: 4_000 },
    ...{ throttledPeriods: 2, throttledNs: 3_000 },
    ...{ memoryBytes: 4096, inactiveFileBytes: 100, memoryLimitBytes: 0, pids: 3, pidsLimit: 10 },
    ...{ blockReadBytes: 6, blockWriteBytes: 7 },
  });
});

test("version 1, where no limit is a very large one", () => {
  const files: Record<string, string> = {
    "cpuacct/cpuacct.usage": "20000000\n",
    "cpuacct/cpuacct.stat": "user 1\nsystem 1\n",
    "memory/memory.usage_in_bytes": "8192\n",
    "memory/memory.limit_in_bytes": "9223372036854771712\n",
    "memory/memory.stat": "cache 1\ntotal_inactive_file 7\n",
    "pids/pids.current": "1\n",
    "pids/pids.max": "max\n",
    "blkio/blkio.throttle.io_service_bytes_recursive":
      "8:0 Read 5\n8:0 Write 6\n8:0 Total 11\nTotal 11\n",
  };
  expect(statsOfV1((controller, file) => files[`${controller}/${file}`] ?? "")).toMatchObject({
    ...{ cpuTotalNs: 20_000_000, cpuUserNs: 10_000_000, memoryBytes: 8192, memoryLimitBytes: 0 },
    ...{ inactiveFileBytes: 7, pids: 1, pidsLimit: 0, blockReadBytes: 5, blockWriteBytes: 6 },
  });
});

test("interfaces, without the loopback", () => {
  const text = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:     100       1    0    0    0     0          0         0      100       1    0    0    0     0       0          0
  eth0:    1000      10    1    2    0     0          0         0     2000      20    3    4    0     0       0          0
`;
  expect(networksOf(text)).toEqual({
    eth0: {
      ...{ rxBytes: 1000, rxPackets: 10, rxErrors: 1, rxDropped: 2 },
      ...{ txBytes: 2000, txPackets: 20, txErrors: 3, txDropped: 4 },
    },
  });
});
