// What one would otherwise take to join two hosts by a program: Debian's wireguard-go, tinc and n2n, each as it comes, with
// no more configuration than two hosts need. Their processes are in the hosts' namespaces, and end with the standing.
import { generateKeyPairSync } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { WireguardGo } from "../../agent/kernel/wireguard-go.js";
import { type Ip, parseIp } from "../../common/address.js";
import { ip } from "../../test/netns/kernel-lab.js";
import { run } from "../../test/netns/lab.js";
import { type Background, background } from "./background.js";
import { fileOf, gone, hosts, type Offloads, type Standing, UNDERLAY } from "./pair.js";
import { insideOf, keyOf, macOf, WIREGUARD_PORT } from "./skein.js";

// Choice: a busy machine starts them within seconds, and tinc tries again after five.
const START_MS = 30_000;
const LOOK_MS = 50;

/** One host's end of a tunnel. */
interface End {
  readonly host: number;
  readonly netns: string;
  /** Of this tunnel alone, on the whole machine; at most 15 bytes. */
  readonly device: string;
  readonly folder: string;
}

interface Tunnel {
  start(end: End): readonly Background[];
  /** Of the device, whose address is then ours to set too; undefined: the program does both. */
  readonly mtuBytes?: number;
  /** Tells the program of the other host, once it is there. */
  introduce?(end: End): Promise<void>;
}

async function stand(prefix: string, offloads: Offloads, tunnel: Tunnel): Promise<Standing> {
  const names = hosts(prefix, offloads);
  const folder = mkdtempSync("/tmp/skein-bench-tunnel-");
  const ends = names.map((name, host) => {
    return { host, netns: fileOf(name), device: `${name}t`, folder };
  });
  const running: Background[] = [];
  const down = async () => {
    for (const each of running) await each.stop();
    rmSync(folder, { recursive: true, force: true });
    gone(...names);
  };
  try {
    for (const end of ends) running.push(...tunnel.start(end));
    for (const end of ends) {
      const { device, host } = end;
      const name = names[host] ?? "";
      await until(`${device} is there`, async () => ip("-n", name, "link").includes(device));
      if (tunnel.mtuBytes !== undefined) {
        ip("-n", name, "addr", "add", `${insideOf(host)}/24`, "dev", device);
        ip("-n", name, "link", "set", device, "mtu", String(tunnel.mtuBytes), "up");
      }
      await tunnel.introduce?.(end);
    }
    const ping = [`--net=${fileOf(names[0])}`, "ping", "-c", "1", "-W", "1", insideOf(1)];
    await until("the other host answers", async () => (await run("nsenter", ping)).code === 0);
  } catch (error) {
    const said = running.map((each) => each.output()).join("");
    await down();
    throw new Error(said, { cause: error });
  }
  const [client, server] = [fileOf(names[0]), fileOf(names[1])];
  return { client, server, address: insideOf(1), hosts: names, down };
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const untilMs = performance.now() + START_MS;
  while (!(await holds())) {
    if (performance.now() > untilMs) throw new Error(`not in time: ${what}`);
    await sleep(LOOK_MS);
  }
}

/** The program that encrypted networks have where the kernel has no WireGuard, with no VXLAN in it. */
export function wireguardGo(prefix: string, offloads: Offloads): Promise<Standing> {
  return stand(prefix, offloads, {
    // What wg-quick(8) sets on an Ethernet.
    mtuBytes: 1420,
    start: ({ netns, device }) => [background(netns, ["wireguard-go", "-f", device])],
    introduce: async ({ host, device, folder }) => {
      const program = new WireguardGo(device, folder);
      await until(`${device} takes orders`, async () => (await program.get()) !== undefined);
      const other = {
        kind: "put",
        publicKey: keyOf(1 - host).publicKey,
        endpoint: ipOf(UNDERLAY[1 - host]),
        port: WIREGUARD_PORT,
        address: ipOf(insideOf(1 - host)),
      } as const;
      await program.set({
        privateKey: keyOf(host).bytes(),
        port: WIREGUARD_PORT,
        peers: [other],
      });
    },
  });
}

const ipOf = (text = "") => parseIp(text) as Ip;

/** Encrypted by AES-256 in CBC mode, what it takes if it is told nothing. */
export function tinc(prefix: string, offloads: Offloads): Promise<Standing> {
  const keys = [0, 1].map(() =>
    generateKeyPairSync("rsa", {
      modulusLength: 2048,
      publicKeyEncoding: { type: "pkcs1", format: "pem" },
      privateKeyEncoding: { type: "pkcs1", format: "pem" },
    }),
  );
  return stand(prefix, offloads, {
    // It tells large packets to be smaller by itself.
    mtuBytes: 1500,
    start: ({ host, netns, device, folder }) => {
      const own = join(folder, String(host));
      mkdirSync(join(own, "hosts"), { recursive: true });
      const config = [`Name = h${host}`, `Interface = ${device}`, "AddressFamily = ipv4"];
      writeFileSync(
        join(own, "tinc.conf"),
        `${[...config, `ConnectTo = h${1 - host}`].join("\n")}\n`,
      );
      writeFileSync(join(own, "rsa_key.priv"), keys[host]?.privateKey ?? "", { mode: 0o600 });
      for (const [i, { publicKey }] of keys.entries()) {
        const about = [`Address = ${UNDERLAY[i]}`, `Subnet = ${insideOf(i)}/32`, publicKey];
        writeFileSync(join(own, "hosts", `h${i}`), about.join("\n"));
      }
      const pidFile = `--pidfile=${join(own, "pid")}`;
      return [background(netns, ["tincd", "--no-detach", "-c", own, pidFile])];
    },
  });
}

const SUPERNODE_PORT = 7654;

/** Encrypted by Twofish, the one cipher of this version; the first host has the supernode too, which tells them of each other. */
export function n2n(prefix: string, offloads: Offloads): Promise<Standing> {
  return stand(prefix, offloads, {
    start: ({ host, netns, device }) => {
      const supernode = `${UNDERLAY[0]}:${SUPERNODE_PORT}`;
      const inside = ["-a", insideOf(host), "-s", "255.255.255.0", "-m", macOf(host)];
      const secret = ["-c", "bench", "-k", "skein-bench", "-l", supernode];
      const edge = background(netns, ["edge", "-d", device, ...inside, ...secret, "-M", "1400"]);
      if (host !== 0) return [edge];
      return [background(netns, ["supernode", "-l", String(SUPERNODE_PORT)]), edge];
    },
  });
}
