import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatIp, formatPrefix, type Ip, parseIp } from "../../common/address.js";
import { Assignments } from "../../proto/gen/dispatcher.js";
import { FakeKernel } from "../../test/fakes/kernel.js";
import { wireguardAddress } from "../overlay/wireguard-address.js";
import { WireguardKey } from "../overlay/wireguard-key.js";
import { VXLAN } from "./names.js";
import { plan } from "./plan.js";
import { needsOf, type Step } from "./step.js";
import { type HostWant, type Self, wantOf } from "./want.js";
import { type EncryptionView, encryptionFindings, HandshakeWatch } from "./wireguard-findings.js";
import { peerChanges, planWireguard, WIREGUARD } from "./wireguard-plan.js";
import type { SelfEncryption, WireguardPeerWant } from "./wireguard-want.js";

const VTEP = "192.0.2.1";
const KEY = WireguardKey.fromChance(Buffer.alloc(32, 1));
const keyOf = (n: number) => Buffer.alloc(32, 0x40 + n);
const keyText = (n: number) => keyOf(n).toString("base64");
const insideOf = (node: string) => formatIp(wireguardAddress("swarm", node).ip);

interface Shape {
  readonly encrypted?: boolean;
  /** Numbers of the other nodes on it; those from 5 on have no key. */
  readonly nodes?: readonly number[];
  readonly port?: number;
  readonly keys?: (node: number) => Buffer;
}

function assignments({
  encrypted = true,
  nodes = [2, 3],
  port = 4788,
  keys = keyOf,
}: Shape): Assignments {
  const endpoint = (nodeId: string, last: number) => ({
    id: `e-${nodeId}`,
    networkId: "n1",
    nodeId,
    mac: `02:42:0a:00:01:0${last}`,
    ipv4: `10.0.1.${last}/24`,
  });
  return Assignments.fromPartial({
    full: true,
    networks: [
      {
        id: "n1",
        vni: 4097,
        spec: { name: "sec", driverOpts: encrypted ? { encrypted: "" } : {} },
      },
    ],
    endpoints: [endpoint("me", 1), ...nodes.map((n) => endpoint(`node${n}`, n))],
    peers: [2, 3, 4, 5].map((n) => ({
      nodeId: `node${n}`,
      dataPathAddr: `192.0.2.${n}`,
      ...(n < 5 && { wireguardKey: keys(n), wireguardPort: port }),
    })),
  });
}

const READY: SelfEncryption = { kind: "ready", clusterId: "swarm", key: KEY, port: 4788 };
const NONE: SelfEncryption = { kind: "impossible", why: "There is no WireGuard." };

function want(shape: Shape = {}, encryption: SelfEncryption | "unknown" = READY): HostWant {
  const self: Self = {
    nodeId: "me",
    vtep: parseIp(VTEP) as Ip,
    port: 4789,
    path: "userspace",
    encryption: encryption === "unknown" ? undefined : encryption,
  };
  const owners = new Map([
    ["e-me", { sandbox: { kind: "own", id: "aaaaaaaaaaaaaaaa" } as const, interfaceName: "eth0" }],
  ]);
  return wantOf(assignments(shape), self, owners, [{ id: "aaaaaaaaaaaaaaaa" }]);
}

const freshKernel = () => new FakeKernel(`${VTEP}/24`);
async function look(kernel: FakeKernel, wanted: HostWant) {
  return plan(wanted, await kernel.dump([{ kind: "own", id: "aaaaaaaaaaaaaaaa" }]));
}
async function converge(kernel: FakeKernel, wanted: HostWant): Promise<readonly Step[]> {
  const done: Step[] = [];
  for (let round = 0; round < 5; round++) {
    const { steps } = await look(kernel, wanted);
    for (const step of steps) await kernel.perform(step);
    done.push(...steps);
    if (steps.length === 0) return done;
  }
  throw new Error("it does not converge");
}

describe("an encrypted network", () => {
  test("has its frames go between addresses that are inside WireGuard only, by the kernel's device", () => {
    const { networks, wireguard } = want();
    const [network] = networks;
    expect(formatIp(network?.vtep as Ip)).toBe(insideOf("me"));
    expect(network?.remotes.map(({ vtep }) => formatIp(vtep))).toEqual([
      insideOf("node2"),
      insideOf("node3"),
    ]);
    expect(network?.floodTo.map(formatIp)).toEqual([insideOf("node2"), insideOf("node3")]);
    expect([network?.path, network?.encrypted]).toEqual(["kernel", "wireguard"]);
    expect(wireguard && formatPrefix(wireguard.address)).toBe(`${insideOf("me")}/64`);
    expect(wireguard?.peers).toEqual([
      {
        publicKey: keyText(2),
        address: parseIp(insideOf("node2")),
        endpoint: parseIp("192.0.2.2"),
        port: 4788,
      },
      {
        publicKey: keyText(3),
        address: parseIp(insideOf("node3")),
        endpoint: parseIp("192.0.2.3"),
        port: 4788,
      },
    ]);
  });

  test("knows as peers only those on it that have a key, and one key once", () => {
    const peersOf = (shape: Shape) =>
      want(shape).wireguard?.peers.map(({ publicKey }) => publicKey);
    expect(peersOf({ nodes: [3] })).toEqual([keyText(3)]);
    expect(peersOf({ nodes: [5] })).toEqual([]);
    expect(peersOf({ keys: () => keyOf(9) })).toEqual([Buffer.from(keyOf(9)).toString("base64")]);
    const own = Buffer.from(KEY.publicKey, "base64");
    expect(peersOf({ keys: () => own })).toEqual([]);
    expect(want({ encrypted: false }).wireguard).toBeUndefined();
  });

  test("is made after the device that it needs, and the device goes when no such network is left", async () => {
    const kernel = freshKernel();
    const steps = (await converge(kernel, want())).map(({ kind }) => kind);
    expect(steps.slice(0, 2)).toEqual(["make-wireguard", "put-wireguard-peers"]);
    expect(kernel.networks.get(4097)?.links.get(VXLAN)?.vxlan?.local).toBe(insideOf("me"));
    expect(kernel.networks.get(4097)?.links.get(VXLAN)?.mtuBytes).toBe(1370);
    expect(kernel.wireguardHave?.link?.mtuBytes).toBe(1440);
    const vxlan = kernel.performed.find(({ kind }) => kind === "make-vxlan");
    expect(vxlan && needsOf(vxlan)).toEqual([WIREGUARD]);
    const after = await converge(kernel, { sandboxes: [], networks: [] });
    expect(after.at(-1)?.kind).toBe("remove-wireguard");
  });

  test("that took the number of a clear one has no frame leave by the old device, whether or not it can be made", async () => {
    for (const encryption of [READY, NONE]) {
      const kernel = freshKernel();
      await converge(kernel, want({ encrypted: false }));
      expect(kernel.networks.get(4097)?.links.get(VXLAN)?.kind).toBe("tun");
      await converge(kernel, want({}, encryption));
      const device = kernel.networks.get(4097)?.links.get(VXLAN);
      expect(device?.kind).toBe(encryption === READY ? "vxlan" : undefined);
      expect(device?.vxlan?.local).toBe(encryption === READY ? insideOf("me") : undefined);
    }
  });

  test("that cannot be had here says why, and what stands goes on waiting for WireGuard", async () => {
    const kernel = freshKernel();
    expect((await look(kernel, want({}, NONE))).problems.get("n1")).toBe("There is no WireGuard.");
    expect((await look(kernel, want({}, "unknown"))).problems.has("n1")).toBe(true);
    await converge(kernel, want());
    const { steps } = await look(kernel, want({}, NONE));
    expect(steps.map(({ kind }) => kind)).toEqual(["remove-wireguard"]);
  });

  test("comes to be as wanted from whatever there was", async () => {
    const shapes = fc.record({
      encrypted: fc.boolean(),
      nodes: fc.subarray([2, 3, 4, 5]),
      port: fc.constantFrom(4788, 5000),
      keys: fc.constantFrom(keyOf, (n: number) => keyOf(n + 20)),
    });
    const selves = fc.constantFrom<SelfEncryption>(READY, NONE, { ...READY, port: 4000 });
    await fc.assert(
      fc.asyncProperty(
        shapes,
        selves,
        fc.nat(9),
        shapes,
        selves,
        async (old, was, cut, now, is) => {
          const kernel = freshKernel();
          for (const step of (await look(kernel, want(old, was))).steps.slice(0, cut))
            await kernel.perform(step).catch(() => {});
          const wanted = want(now, is);
          await converge(kernel, wanted);
          const peers = [...(kernel.wireguardHave?.device?.peers.keys() ?? [])].sort();
          expect(peers).toEqual(
            (wanted.wireguard?.peers ?? []).map((peer) => peer.publicKey).sort(),
          );
          const local = kernel.networks.get(4097)?.links.get(VXLAN)?.vxlan?.local;
          if (now.encrypted) expect(local).not.toBe(VTEP);
        },
      ),
    );
  });
});

describe("the device", () => {
  const wanted = want().wireguard;
  const underlay = freshKernel().underlay();
  const have = async () => {
    const kernel = freshKernel();
    await converge(kernel, want());
    const found = kernel.wireguardHave;
    if (found?.device === undefined || found.link === undefined) throw new Error("no device");
    return { ...found, device: found.device, link: found.link };
  };
  const kinds = (found: Awaited<ReturnType<typeof have>> | object) =>
    planWireguard(wanted, found as Awaited<ReturnType<typeof have>>, underlay).make.map(
      ({ kind }) => kind,
    );

  test("is made again when it is gone, dumb, down, or is not as it was made", async () => {
    const found = await have();
    expect(kinds(found)).toEqual([]);
    const both = ["make-wireguard", "put-wireguard-peers"];
    expect(kinds({ ...found, link: undefined, device: undefined, told: new Map() })).toEqual(both);
    expect(kinds({ ...found, device: undefined })).toEqual(both);
    const { link, device } = found;
    for (const other of [
      { link: { ...link, up: false } },
      { link: { ...link, mtuBytes: 1420 } },
      { device: { ...device, publicKey: keyText(7) } },
      { device: { ...device, port: 1 } },
      { addresses: [] },
      { routes: [] },
      { addresses: [...found.addresses, "fd00::9/64"] },
    ]) {
      expect(kinds({ ...found, ...other })).toEqual(["make-wireguard"]);
    }
  });

  test("a data path address that no interface has is a problem in words", () => {
    const nowhere = { links: [], addresses: [], routes: [] };
    expect(planWireguard(wanted, undefined, nowhere).problem).toBe(
      "The data path address 192.0.2.1 is on no interface of this machine.",
    );
  });

  test("a peer that has moved by itself is left there, and one that was moved is told", async () => {
    const { device, told } = await have();
    const peers = wanted?.peers ?? [];
    const roamed = new Map(
      [...device.peers].map(([key, peer]) => [key, { ...peer, endpoint: "203.0.113.9:1" }]),
    );
    expect(peerChanges(peers, roamed, told)).toEqual([]);
    const [first, ...rest] = peers as [WireguardPeerWant, ...WireguardPeerWant[]];
    const moved = { ...first, endpoint: parseIp("192.0.2.99") as Ip };
    expect(peerChanges([moved, ...rest], device.peers, told)).toEqual([
      { kind: "put", ...moved, address: undefined },
    ]);
    // After a restart of the agent nothing is known of what was told; what may be sent is not touched.
    expect(peerChanges(peers, device.peers, new Map()).map((each) => each.kind)).toEqual([
      "put",
      "put",
    ]);
  });

  test("a new key takes the old one's place in one change, the old one first", async () => {
    const { device, told } = await have();
    const peers = (wanted?.peers ?? []).map((peer, i) =>
      i === 0 ? { ...peer, publicKey: keyText(8) } : peer,
    );
    expect(
      peerChanges(peers, device.peers, told).map(({ kind, publicKey }) => [kind, publicKey]),
    ).toEqual([
      ["remove", keyText(2)],
      ["put", keyText(8)],
    ]);
  });
});

describe("a person is told", () => {
  const NOW = 1_000_000_000;
  const peer = (sentBytes: number, handshakeMs = 0) => ({
    ...{ endpoint: "192.0.2.2:4788", allowed: [], receivedBytes: 0 },
    ...{ sentBytes, handshakeMs },
  });
  const view = (more: Partial<EncryptionView> = {}): EncryptionView => ({
    nowMs: NOW,
    hostname: "h1",
    networks: ["sec"],
    impossible: undefined,
    peers: [{ nodeId: "node2", hostname: "h2", publicKey: keyText(2) }],
    have: undefined,
    problem: undefined,
    ...more,
  });
  const having = (sentBytes: number, handshakeMs?: number, deaths: number[] = []) => ({
    link: undefined,
    addresses: [],
    routes: [],
    device: {
      publicKey: "",
      port: 1,
      peers: new Map([[keyText(2), peer(sentBytes, handshakeMs)]]),
    },
    kind: "kernel",
    told: new Map(),
    deaths,
  });
  const said = (views: readonly EncryptionView[]) => {
    const watch = new HandshakeWatch();
    return views.map((each) => encryptionFindings(each, watch).map(({ subject }) => subject));
  };

  test("of a peer that does not answer while it is sent to", () => {
    const at = (seconds: number, sent: number, handshake?: number) =>
      view({ nowMs: NOW + seconds * 1_000, have: having(sent, handshake) });
    const found = ["peer node2 handshake"];
    expect(said([at(0, 0), at(10, 148), at(20, 296), at(30, 444)])).toEqual([[], [], [], found]);
    // Nothing is sent; or an answer came.
    expect(said([at(0, 0), at(10, 148), at(20, 148), at(30, 148)])).toEqual([[], [], [], []]);
    expect(
      said([at(0, 0), at(10, 148), at(20, 296, NOW + 19_000), at(30, 999, NOW + 19_000)]),
    ).toEqual([[], [], [], []]);
  });

  test("of a peer without a key, of what has died, of what cannot be done; and of nothing where nothing is encrypted", () => {
    const bare = { nodeId: "node5", hostname: "h5", publicKey: "" };
    expect(
      said([
        view({ peers: [bare] }),
        view({ have: having(0, 0, [NOW - 700_000]) }),
        view({ have: having(0, 0, [NOW - 500_000]) }),
        view({ problem: "UDP port 4788 is taken" }),
        view({ impossible: "no WireGuard", peers: [bare] }),
        view({ impossible: "no WireGuard", networks: [] }),
      ]),
    ).toEqual([["peer node5 key"], [], ["died"], ["device"], ["impossible"], []]);
  });
});
