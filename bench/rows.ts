// How long a network's rows take to be in the kernel: by our netlink, against `bridge -batch` and
// `ip -batch` (iproute2) doing the same in the same run. Also how long a look and a plan over them take.
//
//   sudo node dist/bench/rows.js
//
// A remote endpoint is two rows: where its MAC is (VXLAN device and bridge, one message) and a neighbour.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LinuxKernel } from "../agent/kernel/kernel.js";
import { plan } from "../agent/reconcile/plan.js";
import { EMPTY_WANT, type HostWant } from "../agent/reconcile/want.js";
import { parseIp } from "../common/address.js";
import { parseMac, parseVni } from "../common/ids.js";

const ROWS = [2_000, 10_000];
const RUNS = 7;
const VNI = 4097;
// The look-up of the VTEP's interface needs one that there is; nothing is sent.
const VTEP = "127.0.0.1";
const PEER = "192.0.2.2";
// IANA's UDP port is left to whoever uses it on this machine.
const PORT = 47_890;

interface Remote {
  readonly mac: string;
  readonly ip: string;
}

function remotesOf(rows: number): Remote[] {
  return Array.from({ length: rows / 2 }, (_, i) => ({
    mac: `02:42:0a:01:${hex(i >> 8)}:${hex(i & 255)}`,
    ip: `10.1.${i >> 8}.${i & 255}`,
  }));
}
const hex = (byte: number) => byte.toString(16).padStart(2, "0");

function must<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("a value of this program does not parse");
  return value;
}

function wantOf(remotes: readonly Remote[]): HostWant {
  const peer = must(parseIp(PEER));
  const network = {
    networkId: "bench",
    name: "bench",
    vni: must(parseVni(VNI)),
    mtuBytes: 1450,
    vtep: must(parseIp(VTEP)),
    port: PORT,
    path: "kernel" as const,
    subnets: [],
    locals: [],
    remotes: remotes.map(({ mac, ip }, i) => ({
      endpointId: `r${i}`,
      mac: must(parseMac(mac)),
      ips: [must(parseIp(ip))],
      vtep: peer,
      version: i,
    })),
    floodTo: [peer],
  };
  return { sandboxes: [], networks: [network] };
}

/** Until the plan is empty. The milliseconds of the steps alone, and of the last look with its plan. */
async function converge(
  kernel: LinuxKernel,
  want: HostWant,
): Promise<{ stepsMs: number; lookMs: number }> {
  const { steps } = plan(want, await kernel.dump([]));
  const plannedMs = performance.now();
  for (const step of steps) await kernel.perform(step);
  const doneMs = performance.now();
  const left = plan(want, await kernel.dump([])).steps.length;
  if (left > 0) throw new Error(`${left} steps are left`);
  return { stepsMs: doneMs - plannedMs, lookMs: performance.now() - doneMs };
}

/** The same rows by iproute2, in the same namespace, from files that are written beforehand. */
function byIproute2(netns: string, folder: string, remotes: readonly Remote[]): number {
  const fdb = remotes.map(
    ({ mac }) => `fdb replace ${mac} dev vxlan0 dst ${PEER} self master static`,
  );
  const neighbours = remotes.map(
    ({ mac, ip }) => `neigh replace ${ip} lladdr ${mac} dev br0 nud permanent`,
  );
  writeFileSync(join(folder, "fdb"), `${fdb.join("\n")}\n`);
  writeFileSync(join(folder, "neigh"), `${neighbours.join("\n")}\n`);
  const startMs = performance.now();
  execFileSync("nsenter", [`--net=${netns}`, "bridge", "-batch", join(folder, "fdb")]);
  execFileSync("nsenter", [`--net=${netns}`, "ip", "-batch", join(folder, "neigh")]);
  return performance.now() - startMs;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
}

async function main(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "skein-bench-rows-"));
  const kernel = new LinuxKernel({ runDir: folder });
  const netns = join(folder, "netns", `net-${VNI}`);
  try {
    for (const rows of ROWS) {
      const remotes = remotesOf(rows);
      const ours: number[] = [];
      const theirs: number[] = [];
      const looks: number[] = [];
      for (let run = 0; run < RUNS; run++) {
        await converge(kernel, wantOf([]));
        const { stepsMs, lookMs } = await converge(kernel, wantOf(remotes));
        ours.push(stepsMs);
        looks.push(lookMs);
        await converge(kernel, EMPTY_WANT);
        await converge(kernel, wantOf([]));
        theirs.push(byIproute2(netns, folder, remotes));
        await converge(kernel, EMPTY_WANT);
      }
      const ratio = median(theirs) / median(ours);
      console.log(
        `${rows} rows: skein ${median(ours).toFixed(1)} ms, iproute2 in batches ` +
          `${median(theirs).toFixed(1)} ms (${ratio.toFixed(1)} times as long); ` +
          `look and plan ${median(looks).toFixed(1)} ms  [medians of ${RUNS}]`,
      );
    }
  } finally {
    await converge(kernel, EMPTY_WANT);
    kernel.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

await main();
