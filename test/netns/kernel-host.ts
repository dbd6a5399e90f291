// One host's kernel side without the rest of an agent: the real kernel and the apply loop, driven by
// JSON lines on standard input. Started inside a host's network namespace by kernel.test.ts.
import { closeSync } from "node:fs";
import { createInterface } from "node:readline";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { guardTables } from "../../agent/guard/tables.js";
import { LinuxKernel } from "../../agent/kernel/kernel.js";
import { MSG_DONTWAIT, SOCK_RAW, socket, tryRecv } from "../../agent/kernel/libc.js";
import { ping } from "../../agent/kernel/ping.js";
import { Applier } from "../../agent/loops/apply.js";
import { WireguardKey } from "../../agent/overlay/wireguard-key.js";
import type { HostWant } from "../../agent/reconcile/want.js";
import { parseIp } from "../../common/address.js";
import { systemClock } from "../../common/clock.js";
import { messageOf } from "../../common/fault.js";
import { silentLogger } from "../../common/log.js";
import { DEFAULT_TIMING } from "../../common/timing.js";

/** What the test may ask. Integers past 2^53 travel as "123n". */
export type HostRequest =
  /** `key`: the text of the WireGuard key, which does not travel as JSON. */
  | { readonly call: "set"; readonly want: HostWant; readonly key?: string }
  | { readonly call: "ready"; readonly endpointId: string }
  /** Starts collecting what this host puts on and takes from the wire. */
  | { readonly call: "capture" }
  /** The UDP payloads to the data port since, in hexadecimal. */
  | { readonly call: "captured"; readonly port: number }
  /** What the guard has dropped, by reason and endpoint. */
  | { readonly call: "drops" }
  /** Who sent what is no node's to send. */
  | { readonly call: "strangers" }
  /** What the programs of the accelerated path have counted, by VNI. */
  | { readonly call: "carried" }
  /** What the userspace path's switch has counted of the network, and this process's heap after a collection. */
  | { readonly call: "switched"; readonly vni: number }
  /** What was put back, by kind of step. */
  | { readonly call: "repairs" }
  | { readonly call: "port"; readonly local: string; readonly port: number }
  | {
      readonly call: "ping";
      readonly netns: string | undefined;
      readonly targets: readonly string[];
    };

const [, , runDir = "", hooks] = process.argv;
const hookKind = hooks === "clsact" ? hooks : "tcx";
const kernel = new LinuxKernel({ runDir, hookKind });
const resyncMs = Number(process.env.SKEIN_TEST_RESYNC_MS ?? "1000");
const timing = { ...DEFAULT_TIMING, resyncMs };
const applier = new Applier(kernel, systemClock, timing, silentLogger());
// Choice: longer than any one of these takes on a machine under load.
const patience = () => AbortSignal.timeout(60_000);

// linux/if_packet.h, if_ether.h: every protocol, in network byte order.
const AF_PACKET = 17;
const ETH_P_ALL_BE = 0x0300;
let captureFd = -1;

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line, (_, value) =>
    typeof value === "string" && /^\d+n$/.test(value) ? BigInt(value.slice(0, -1)) : value,
  ) as HostRequest;
  const startMs = performance.now();
  const answer = await answerTo(request).catch((error) => ({ error: messageOf(error) }));
  process.stdout.write(`${JSON.stringify({ ...answer, ms: performance.now() - startMs })}\n`);
}

function withKey(want: HostWant, text = ""): HostWant {
  const key = WireguardKey.parse(text);
  return want.wireguard && key ? { ...want, wireguard: { ...want.wireguard, key } } : want;
}

async function answerTo(request: HostRequest): Promise<object> {
  switch (request.call) {
    case "set":
      // Tables do not travel as JSON.
      applier.set({
        ...withKey(request.want, request.key),
        tables: guardTables(request.want.networks),
      });
      await applier.settled(patience());
      return { problems: Object.fromEntries(applier.problems()) };
    case "ready":
      await applier.ready(request.endpointId, patience());
      return {};
    case "capture":
      captureFd = socket(AF_PACKET, SOCK_RAW, ETH_P_ALL_BE);
      return {};
    case "captured":
      return { payloads: captured(request.port) };
    case "drops": {
      const drops: Record<string, number> = {};
      for (const { reason, subject, frames } of kernel.drops()) {
        const key = `${reason} ${subject}`.trimEnd();
        drops[key] = (drops[key] ?? 0) + frames;
      }
      return { counts: drops };
    }
    case "strangers":
      return { value: kernel.strangers() };
    case "carried":
      return { carried: Object.fromEntries(kernel.accelerator.counts()) };
    case "switched": {
      setFlagsFromString("--expose-gc");
      runInNewContext("gc")();
      const { heapUsed } = process.memoryUsage();
      return { value: { ...kernel.switchCounters(request.vni), heapUsed } };
    }
    case "repairs":
      return { counts: Object.fromEntries(applier.counts.repairs) };
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

function captured(port: number): string[] {
  const payloads: string[] = [];
  const buffer = Buffer.alloc(65_536);
  for (;;) {
    const length = tryRecv(captureFd, buffer, MSG_DONTWAIT);
    if (length < 0) break;
    // Ethernet 14, IPv4 without options 20, UDP 8.
    const isIpv4Udp = buffer.readUInt16BE(12) === 0x0800 && buffer[23] === 17;
    if (isIpv4Udp && buffer.readUInt16BE(36) === port) {
      payloads.push(buffer.toString("hex", 42, length));
    }
  }
  closeSync(captureFd);
  return payloads;
}
