// What the tests of the accelerated data path share: networks whose endpoint .N lives on a host that is said, and how
// frames went there.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { expect } from "vitest";
import type { Reason } from "../../agent/bpf/reasons.js";
import type { DataPath } from "../../agent/overlay/data-path.js";
import type { HostWant, NetworkWant } from "../../agent/reconcile/want.js";
import { type Ip, type Prefix, parseIp, parsePrefix } from "../../common/address.js";
import { type Mac, parseMac, parseVni, type Vni } from "../../common/ids.js";
import { type Host, inside, type Lab } from "./kernel-lab.js";

export const NET = parseVni(4097) as Vni;
const address = (text: string) => parseIp(text) as Ip;
const prefix = (text: string) => parsePrefix(text) as Prefix;
export const macOf = (n: number) => `02:42:0a:00:01:0${n}`;
export const idOf = (n: number, vni = NET) => `${vni === NET ? "a" : "b"}${n}`.padEnd(64, "0");

export function network(
  number: number,
  vni: Vni,
  path: DataPath,
  { hosts, who }: { readonly hosts: Lab; readonly who: Readonly<Record<number, number>> },
): NetworkWant {
  const homes = Object.entries(who).map(([n, home]) => [Number(n), home] as const);
  const endpoint = (n: number) => ({
    endpointId: `endpoint${vni}-${n}`,
    mac: parseMac(macOf(n)) as Mac,
    version: n,
  });
  const vtepOf = (home: number) => address(hosts.host(home).vtep);
  const remotes = homes.filter(([, home]) => home !== number);
  return {
    networkId: `network${vni}`,
    name: `net${vni}`,
    vni,
    mtuBytes: 0,
    vtep: vtepOf(number),
    port: 4789,
    path,
    subnets: [prefix("10.0.1.0/24"), prefix("fd00:1::/64")],
    locals: homes
      .filter(([, home]) => home === number)
      .map(([n]) => ({
        ...endpoint(n),
        prefixes: [prefix(`10.0.1.${n}/24`), prefix(`fd00:1::${n}/64`)],
        interfaceName: "eth0",
        sandbox: { kind: "own", id: idOf(n, vni) },
      })),
    remotes: remotes.map(([n, home]) => ({
      ...endpoint(n),
      ips: [address(`10.0.1.${n}`), address(`fd00:1::${n}`)],
      vtep: vtepOf(home),
    })),
    floodTo: [...new Set(remotes.map(([, home]) => home))].map(vtepOf),
  };
}

export function hostWant(networks: readonly NetworkWant[]): HostWant {
  const ids = networks.flatMap(({ locals }) =>
    locals.flatMap(({ sandbox: each }) => ("id" in each ? [each.id] : [])),
  );
  return { sandboxes: ids.map((id) => ({ id })), networks };
}

/** Whether three echo requests all came back. */
export function pings(from: string, to: string, ...more: readonly string[]): boolean {
  try {
    inside(from, "ping", "-c", "3", "-i", "0.02", "-W", "2", ...more, to);
    return true;
  } catch {
    return false;
  }
}

export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`never came: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export async function frames(host: Host, reason: Reason, vni: number = NET): Promise<number> {
  const { carried } = await host.ask({ call: "carried" });
  return carried?.[vni]?.[reason].frames ?? 0;
}

/** How many more frames the host counted so while it was done. */
export async function more(
  host: Host,
  reason: Reason,
  what: () => void,
  vni?: number,
): Promise<number> {
  const before = await frames(host, reason, vni);
  what();
  return (await frames(host, reason, vni)) - before;
}

/** Until the programs carry this host's frames to that peer, and back. */
export async function shortcut(host: Host, from: string, to: string): Promise<void> {
  await until(`${to} is reached by the programs`, async () => {
    let well = false;
    const sent = await more(host, "sent", () => {
      well = pings(from, to);
    });
    return well && sent >= 3;
  });
}

export const SIZE = 8_000_000;

/** SIZE bytes to the address of an endpoint from another, compared by their digest. */
export async function transfer(
  server: { readonly netns: string; readonly address: string },
  client: string,
  port: number,
): Promise<void> {
  const listen = `
    const hash = require("crypto").createHash("sha256");
    require("net").createServer((s) => s.on("data", (b) => hash.update(b)).on("end", () => {
      console.log(hash.digest("hex")); process.exit(0); })).listen(${port}, () => console.log("on"));`;
  const send = `
    const bytes = Buffer.alloc(${SIZE}, (i) => i * 7);
    for (let i = 0; i < bytes.length; i += 4) bytes.writeUInt32LE(i * 2654435761 >>> 0, i);
    require("net").connect(${port}, "${server.address}", function () { this.end(bytes); });`;
  const child = spawn("nsenter", [`--net=${server.netns}`, process.execPath, "-e", listen]);
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => {
    output += chunk.toString();
  });
  await until("the server listens", () => output.startsWith("on"));
  inside(client, process.execPath, "-e", send);
  await until("all has arrived", () => output.trim().split("\n").length === 2);
  const bytes = Buffer.alloc(SIZE);
  for (let i = 0; i < bytes.length; i += 4) bytes.writeUInt32LE((i * 2654435761) >>> 0, i);
  expect(output.trim().split("\n")[1]).toBe(createHash("sha256").update(bytes).digest("hex"));
}
