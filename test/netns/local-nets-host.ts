// One host's own networks without the rest of an agent: the real kernel, the reconcile and the loop of local
// networks, driven by JSON lines on standard input. Started inside a host's network namespace by
// local-nets.test.ts.
import { createInterface } from "node:readline";
import { pino } from "pino";
import { localNetDiskAt } from "../../agent/disk/local-networks-file.js";
import { portHolder } from "../../agent/kernel/held-port.js";
import { LinuxKernel } from "../../agent/kernel/kernel.js";
import { Applier } from "../../agent/loops/apply.js";
import { LocalNets } from "../../agent/loops/local-nets.js";
import { Places } from "../../agent/loops/places.js";
import type { LocalJoin } from "../../agent/loops/placing.js";
import { systemClock } from "../../common/clock.js";
import { isRefusal, messageOf } from "../../common/fault.js";
import { systemRandom } from "../../common/random.js";
import { DEFAULT_TIMING } from "../../common/timing.js";
import type { NetworkSpec } from "../../proto/gen/types.js";

export type LocalRequest =
  | { readonly call: "sandbox"; readonly id: string }
  | { readonly call: "drop"; readonly id: string }
  | { readonly call: "join"; readonly request: LocalJoin }
  | { readonly call: "leave"; readonly id: string }
  /** Everything that lives here is declared: from now on the kernel follows. */
  | { readonly call: "restored" }
  | { readonly call: "create"; readonly spec: NetworkSpec }
  | { readonly call: "remove"; readonly ref: string }
  | { readonly call: "list" }
  /** What was logged as a warning or as news for a person, and what with. */
  | { readonly call: "logged" };

const runDir = process.argv[2] ?? "";
const kernel = new LinuxKernel({ runDir });
const timing = { ...DEFAULT_TIMING, resyncMs: 1_000 };
const logged: unknown[] = [];
const log = pino({ level: "info" }, { write: (line) => void logged.push(JSON.parse(line)) });
const clock = systemClock;
const applier = new Applier(kernel, clock, timing, log);
const places = new Places(applier, kernel, runDir, clock, timing, () => "kernel");
const nets = new LocalNets({
  placing: places,
  ports: portHolder,
  disk: localNetDiskAt(runDir),
  events: { publish: () => {} },
  clock,
  random: systemRandom,
  timing,
  log,
});
await nets.load();

for await (const line of createInterface({ input: process.stdin })) {
  const startMs = performance.now();
  const answer = await answerTo(JSON.parse(line) as LocalRequest).catch((error) => ({
    error: messageOf(error),
  }));
  process.stdout.write(`${JSON.stringify({ ...answer, ms: performance.now() - startMs })}\n`);
}

async function answerTo(request: LocalRequest): Promise<object> {
  switch (request.call) {
    case "sandbox": {
      const path = places.sandbox(request.id);
      await places.sandboxReady(request.id, AbortSignal.timeout(30_000)).catch(() => {});
      return { value: path };
    }
    case "drop":
      await places.dropSandbox(request.id);
      return {};
    case "join":
      return answerOf(await nets.join(request.request));
    case "leave":
      await nets.leave(request.id);
      return {};
    case "restored":
      nets.restored();
      places.restored();
      return {};
    case "create":
      return answerOf(await nets.create(request.spec));
    case "remove":
      return answerOf(await nets.remove(request.ref));
    case "list":
      return answerOf(nets.list());
    case "logged":
      return answerOf(logged);
  }
}

function answerOf(value: unknown): object {
  return isRefusal(value) ? { error: value.message } : { value };
}
