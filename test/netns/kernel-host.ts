// One host's kernel side without the rest of an agent: the real kernel and the apply loop, driven by
// JSON lines on standard input. Started inside a host's network namespace by kernel.test.ts.
import { createInterface } from "node:readline";
import { LinuxKernel } from "../../agent/kernel/kernel.js";
import { ping } from "../../agent/kernel/ping.js";
import { Applier } from "../../agent/loops/apply.js";
import type { HostWant } from "../../agent/reconcile/want.js";
import { parseIp } from "../../common/address.js";
import { systemClock } from "../../common/clock.js";
import { messageOf } from "../../common/fault.js";
import { silentLogger } from "../../common/log.js";
import { DEFAULT_TIMING } from "../../common/timing.js";

/** What the test may ask. Integers past 2^53 travel as "123n". */
export type HostRequest =
  | { readonly call: "set"; readonly want: HostWant }
  | { readonly call: "ready"; readonly endpointId: string }
  | { readonly call: "port"; readonly local: string; readonly port: number }
  | {
      readonly call: "ping";
      readonly netns: string | undefined;
      readonly targets: readonly string[];
    };

const kernel = new LinuxKernel({ runDir: process.argv[2] ?? "" });
const timing = { ...DEFAULT_TIMING, resyncMs: 1_000 };
const applier = new Applier(kernel, systemClock, timing, silentLogger());
// Choice: longer than any one of these takes on a machine under load.
const patience = () => AbortSignal.timeout(60_000);

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line, (_, value) =>
    typeof value === "string" && /^\d+n$/.test(value) ? BigInt(value.slice(0, -1)) : value,
  ) as HostRequest;
  const startMs = performance.now();
  const answer = await answerTo(request).catch((error) => ({ error: messageOf(error) }));
  process.stdout.write(`${JSON.stringify({ ...answer, ms: performance.now() - startMs })}\n`);
}

async function answerTo(request: HostRequest): Promise<object> {
  switch (request.call) {
    case "set":
      applier.set(request.want);
      await applier.settled(patience());
      return { problems: Object.fromEntries(applier.problems()) };
    case "ready":
      await applier.ready(request.endpointId, patience());
      return {};
    case "port": {
      const local = parseIp(request.local);
      if (local === undefined) throw new Error("not an address");
      return { problem: kernel.dataPortProblem(local, request.port) };
    }
    case "ping": {
      const options = { count: 3, intervalMs: 50, timeoutMs: 2_000, sizeBytes: 56 };
      const targets = request.targets.map((address) => ({ address }));
      return { outcomes: await ping.ping(request.netns, targets, options, patience()) };
    }
  }
}
