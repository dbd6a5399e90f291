import { describe, expect, test } from "vitest";
import { isRefusal } from "../../common/fault.js";
import { AttachRequest } from "../../proto/gen/dispatcher.js";
import { Availability, NodeDescription, NodeState, Role } from "../../proto/gen/types.js";
import { type SpecParts, SwarmState, sentenceOf } from "../../test/fakes/swarm-state.js";
import { updateCluster } from "./cluster.js";
import { DEFAULT_CLUSTER_SPEC } from "./cluster-spec.js";
import { attach, detach } from "./endpoint.js";
import {
  admitNode,
  clearManagerMember,
  recordCertificate,
  setManagerMember,
} from "./membership.js";
import { findNetwork } from "./network-lookup.js";
import { removeNode, updateNode } from "./node.js";
import { markNodeDown, recordNodeSession } from "./session.js";

const SECRETS = { worker: "new-w", manager: "new-m", unlockKey: Buffer.alloc(32, 7) };

describe("the cluster", () => {
  const change = (swarm: SwarmState, spec: object, more: object = {}) => {
    const version = swarm.view.cluster()?.meta?.version ?? 0;
    const base = {
      version,
      rotateWorkerToken: false,
      rotateManagerToken: false,
      rotateUnlockKey: false,
      dataPathPort: 0,
    };
    const request = { ...base, spec: { ...DEFAULT_CLUSTER_SPEC, ...spec }, ...more };
    return swarm.write((draft) => updateCluster(draft, request, SECRETS));
  };

  test("begins with Docker's defaults, ingress and one manager", () => {
    const { view } = new SwarmState();
    expect(view.cluster()?.spec).toEqual(DEFAULT_CLUSTER_SPEC);
    expect([view.cluster()?.subnetSize, view.cluster()?.dataPathPort]).toEqual([24, 4789]);
    expect(view.ingressNetwork()).toMatchObject({
      vni: 4096,
      subnets: [{ cidr: "10.0.0.0/24", gateway: "10.0.0.1" }],
      spec: { name: "ingress", ingress: true },
    });
    expect(view.nodeByRaftId(1)?.id).toBe("node0");
  });

  const bad = [
    [{ certExpiryMs: 3_599_999 }, "invalid-argument: minimum certificate expiry time is: 1h0m0s"],
    [{ name: "mine" }, "invalid-argument: modification of cluster name is not allowed"],
    [
      { heartbeatPeriodMs: 99 },
      "invalid-argument: heartbeat period 99ms is not between 100ms and 1h",
    ],
  ] as const;
  for (const [spec, want] of bad) {
    test(`refuses: ${want}`, () => expect(sentenceOf(change(new SwarmState(), spec))).toBe(want));
  }

  test("refuses an update of an older version", () => {
    const swarm = new SwarmState();
    const { version = 0 } = swarm.view.cluster()?.meta ?? {};
    expect(isRefusal(change(swarm, { taskHistoryLimit: 7 }))).toBe(false);
    expect(sentenceOf(change(swarm, {}, { version }))).toBe(
      "failed-precondition: update out of sequence",
    );
    expect(swarm.view.cluster()?.spec?.taskHistoryLimit).toBe(7);
  });

  test("has an unlock key exactly while it is autolocked, and a new one when asked", () => {
    const swarm = new SwarmState();
    const key = () => swarm.view.cluster()?.unlockKey;
    const older = Buffer.alloc(32, 1);
    const isFresh = (more: object, spec: object) => {
      swarm.must((draft) => {
        const cluster = draft.cluster();
        if (cluster && cluster.unlockKey.length > 0) {
          draft.update("cluster", { ...cluster, unlockKey: older });
        }
      });
      expect(isRefusal(change(swarm, spec, more))).toBe(false);
      return key()?.equals(SECRETS.unlockKey);
    };
    const locked = { autolockManagers: true };
    expect(isFresh({ rotateUnlockKey: true }, {})).toBe(false);
    expect(key()).toHaveLength(0);
    expect(isFresh({}, locked)).toBe(true);
    expect(isFresh({}, { ...locked, taskHistoryLimit: 7 })).toBe(false);
    expect(key()).toEqual(older);
    expect(isFresh({ rotateUnlockKey: true }, locked)).toBe(true);
    expect(isFresh({}, {})).toBe(false);
    expect(key()).toHaveLength(0);
  });

  test("rotates the one token that was named, and leaves the settings", () => {
    const swarm = new SwarmState();
    change(swarm, {}, { spec: undefined, rotateWorkerToken: true });
    expect(swarm.view.cluster()?.joinSecrets).toEqual({ worker: "new-w", manager: "m" });
    expect(swarm.view.cluster()?.spec).toEqual(DEFAULT_CLUSTER_SPEC);
  });
});

describe("a node", () => {
  const wish = (swarm: SwarmState, id: string, spec: object, loss?: string, force = false) => {
    const node = swarm.view.node(id);
    const version = node?.meta?.version ?? 0;
    const base = { name: "", labels: {}, role: Role.WORKER, availability: Availability.ACTIVE };
    const request = { id, version, spec: { ...base, ...node?.spec, ...spec } };
    return swarm.write((draft) => updateNode(draft, { ...request, force }, () => loss));
  };
  const drop = (swarm: SwarmState, id: string, force = false) =>
    swarm.write((draft) => removeNode(draft, { id, force }, swarm.context));

  test("takes labels, availability and a role", () => {
    const swarm = new SwarmState();
    swarm.node("n1");
    wish(swarm, "n1", {
      labels: { tier: "db" },
      availability: Availability.DRAIN,
      role: Role.MANAGER,
    });
    expect(swarm.view.node("n1")?.spec).toMatchObject({
      labels: { tier: "db" },
      role: Role.MANAGER,
    });
    // It is what is wanted; what the certificate says follows later.
    expect(swarm.view.node("n1")?.role).toBe(Role.WORKER);
  });

  test("that is the last manager is not demoted", () => {
    const swarm = new SwarmState();
    swarm.node("n1");
    // Wanted as a manager but not a member yet: it could not carry on alone.
    wish(swarm, "n1", { role: Role.MANAGER });
    expect(sentenceOf(wish(swarm, "node0", { role: Role.WORKER }))).toBe(
      "failed-precondition: attempting to demote the last manager of the swarm",
    );
    swarm.must((draft) => setManagerMember(draft, { nodeId: "n1", raftId: 2, addr: "h:2377" }));
    expect(sentenceOf(wish(swarm, "node0", { role: Role.WORKER }, "too few"))).toBe(
      "failed-precondition: too few",
    );
    expect(isRefusal(wish(swarm, "node0", { role: Role.WORKER }))).toBe(false);
    expect(swarm.view.node("node0")?.seatForced).toBeUndefined();
    expect(isRefusal(wish(swarm, "n1", { role: Role.WORKER }, "too few", true))).toBe(true);
    wish(swarm, "node0", { role: Role.MANAGER });
    expect(isRefusal(wish(swarm, "n1", { role: Role.WORKER }, "too few", true))).toBe(false);
    expect(swarm.view.node("n1")?.seatForced).toBe(true);
    // Whoever is wanted again was not insisted on.
    wish(swarm, "n1", { role: Role.MANAGER });
    expect(swarm.view.node("n1")?.seatForced).toBeUndefined();
  });

  test("of another version, of a wrong name or not there is refused", () => {
    const swarm = new SwarmState();
    const update = (id: string, version: number, name: string) =>
      swarm.write((draft) => {
        const spec = { name, labels: {}, role: Role.MANAGER, availability: Availability.ACTIVE };
        return updateNode(draft, { id, version, spec }, () => undefined);
      });
    const version = swarm.view.node("node0")?.meta?.version ?? 0;
    expect(sentenceOf(update("node0", version - 1, ""))).toBe(
      "failed-precondition: update out of sequence",
    );
    expect(sentenceOf(update("node0", version, "bad name"))).toContain(
      'node name "bad name" is not valid',
    );
    expect(sentenceOf(update("gone", 1, ""))).toBe("not-found: node gone not found");
  });

  test("is removed when it is down, or by force, and its addresses rest", () => {
    const swarm = new SwarmState();
    swarm.node("n1");
    const { id } = swarm.network({ name: "web" });
    swarm.attach("web", { node: "n1" });
    expect(sentenceOf(drop(swarm, "n1"))).toBe(
      "failed-precondition: node n1 is not down and can't be removed",
    );
    swarm.must((draft) => markNodeDown(draft, "n1", "heartbeat failure") ?? true);
    expect(drop(swarm, "n1")).toBeUndefined();
    expect([...swarm.view.endpointsOn(id)]).toEqual([]);
    expect([...swarm.view.resting(id)].map(({ address }) => address)).toEqual(["10.0.1.2"]);
    expect(swarm.view.cluster()?.removed.map(({ nodeId }) => nodeId)).toEqual(["n1"]);
    expect(sentenceOf(drop(swarm, "n1"))).toBe("not-found: node n1 not found");
    swarm.node("n2");
    expect(drop(swarm, "n2", true)).toBeUndefined();
  });

  test("that manages is not removed, not even by force", () => {
    expect(sentenceOf(drop(new SwarmState(), "node0", true))).toBe(
      "failed-precondition: node node0 is a cluster manager and is a member of the raft cluster. " +
        "It must be demoted to worker before removal",
    );
  });

  test("joins once, however often it asks with one key", () => {
    const swarm = new SwarmState();
    const ask = () =>
      swarm.must((draft) =>
        admitNode(
          draft,
          {
            role: Role.WORKER,
            hostname: "h9",
            availability: Availability.ACTIVE,
            publicKeyDigest: Buffer.from("key9"),
            remoteAddr: "192.168.33.19",
          },
          swarm.context,
        ),
      );
    const first = ask();
    const { revision } = swarm.store;
    expect(ask().id).toBe(first.id);
    expect(swarm.store.revision).toBe(revision);
  });

  test("that says nothing new in its session costs no entry", () => {
    const swarm = new SwarmState();
    swarm.node("n1");
    const description = NodeDescription.fromPartial({ hostname: "n1", nanoCpus: 2e9 });
    const hear = () =>
      swarm.must((draft) =>
        recordNodeSession(draft, { nodeId: "n1", description, addr: "10.9.9.9", dataPathAddr: "" }),
      );
    hear();
    const { revision } = swarm.store;
    hear();
    expect(swarm.store.revision).toBe(revision);
    swarm.must((draft) => markNodeDown(draft, "n1", "heartbeat failure") ?? true);
    expect(swarm.view.node("n1")).toMatchObject({
      state: NodeState.DOWN,
      message: "heartbeat failure",
    });
    hear();
    expect(swarm.view.node("n1")).toMatchObject({ state: NodeState.READY, message: "" });
  });

  test("keeps a WireGuard key of its own: of two with one key, the later has none", () => {
    const swarm = new SwarmState();
    const hear = (nodeId: string, fill: number) => {
      const wireguard = { publicKey: Buffer.alloc(32, fill), port: 4788, kind: "kernel" };
      const description = NodeDescription.fromPartial({ hostname: nodeId, wireguard });
      const session = { nodeId, description, addr: "", dataPathAddr: "" };
      const { description: kept } = swarm.must((draft) => recordNodeSession(draft, session));
      return [kept?.wireguard?.publicKey.length, kept?.wireguard?.problem];
    };
    for (const name of ["n1", "n2"]) swarm.node(name);
    expect(hear("n1", 1)).toEqual([32, ""]);
    const problem =
      "node n1 has the same WireGuard key; remove this node's identity/wireguard.key and restart its agent";
    expect(hear("n2", 1)).toEqual([0, problem]);
    expect(hear("n1", 1)).toEqual([32, ""]);
    expect(hear("n2", 2)).toEqual([32, ""]);
    // The first one's key is free when it has another.
    expect(hear("n1", 3)).toEqual([32, ""]);
    expect(hear("n2", 1)).toEqual([32, ""]);
    expect(hear("n1", 1)).toEqual([0, problem.replace("node n1", "node n2")]);
  });

  test("gets and gives back its seat and its role", () => {
    const swarm = new SwarmState();
    swarm.node("n1");
    const publicKeyDigest = Buffer.from("n1");
    swarm.must((draft) =>
      recordCertificate(draft, { nodeId: "n1", role: Role.MANAGER, publicKeyDigest }),
    );
    swarm.must((draft) => setManagerMember(draft, { nodeId: "n1", raftId: 2, addr: "h:2377" }));
    expect(swarm.view.nodeByRaftId(2)?.role).toBe(Role.MANAGER);
    expect([...swarm.view.managers()].map(({ id }) => id)).toEqual(["node0", "n1"]);
    swarm.must((draft) => clearManagerMember(draft, "n1") ?? true);
    expect(swarm.view.nodeByRaftId(2)).toBeUndefined();
  });
});

describe("a network is refused", () => {
  const cases: { name: string; spec: SpecParts; want: string }[] = [
    { name: "without a name", spec: { name: "" }, want: "invalid-argument: name must be provided" },
    {
      name: "with a bad name",
      spec: { name: "bad name/" },
      want: "invalid-argument: name must be valid as a DNS name component",
    },
    {
      name: "with a long name",
      spec: { name: "x".repeat(64) },
      want: "invalid-argument: name must be 63 characters or fewer",
    },
    {
      name: "with a name that exists",
      spec: { name: "web" },
      want: "already-exists: network with name web already exists",
    },
    {
      name: "with a name of Docker's own",
      spec: { name: "host" },
      want: "permission-denied: operation is not permitted on predefined host network",
    },
    {
      name: "of another driver",
      spec: { driver: "bogus" },
      want: 'not-found: plugin "bogus" not found',
    },
    {
      name: "as a second ingress",
      spec: { ingress: true, attachable: false },
      want: "already-exists: ingress network (id2) is already present",
    },
    {
      name: "as an attachable ingress",
      spec: { ingress: true },
      want: "invalid-argument: ingress network cannot be attachable",
    },
  ];
  for (const { name, spec, want } of cases) {
    test(name, () => {
      const swarm = new SwarmState();
      swarm.network({ name: "web" });
      const { revision } = swarm.store;
      const ingress = swarm.view.ingressNetwork()?.id ?? "";
      const full = { name: "new", ...(spec as object) };
      const result = swarm.write((draft) => swarm.createNetwork(draft, full));
      expect(sentenceOf(result).replace(ingress, "id2")).toBe(want);
      expect(swarm.store.revision).toBe(revision);
    });
  }
});

describe("a network is removed", () => {
  test("when nothing is on it; else one user is named", () => {
    const swarm = new SwarmState();
    swarm.node("n1");
    const { id } = swarm.network({ name: "web" });
    const one = swarm.attach("web", { name: "c1" });
    const two = swarm.attach("web", { node: "n1" });
    expect(sentenceOf(swarm.removeNetwork(id))).toBe(
      `failed-precondition: network ${id} is in use by endpoint c1 (10.0.1.2 on node h0) and 1 more`,
    );
    swarm.detach(one);
    swarm.detach(two);
    expect(swarm.removeNetwork(id)).toBeUndefined();
    expect(sentenceOf(swarm.removeNetwork(id))).toBe(`not-found: network ${id} not found`);
    expect(swarm.network({ name: "web" }).subnets[0]?.cidr).toBe("10.0.1.0/24");
  });

  test("and found by id, name and the beginning of an id", () => {
    const swarm = new SwarmState();
    const { id } = swarm.network({ name: "web" });
    const found = (text: string) => findNetwork(swarm.view, text);
    expect([found(id), found("web")]).toEqual([swarm.view.network(id), swarm.view.network(id)]);
    expect(sentenceOf(found("nosuch"))).toBe("not-found: network nosuch not found");
  });
});

describe("an endpoint", () => {
  const request = (parts: object = {}) =>
    AttachRequest.fromPartial({ endpointId: "e1", network: "web", ...parts });

  test("is the same one when its id is asked for again", () => {
    const swarm = new SwarmState();
    swarm.network({ name: "web" });
    const ask = () => swarm.must((draft) => attach(draft, request(), "node0"));
    const first = ask();
    const { revision } = swarm.store;
    expect(ask().endpoint?.ipv4).toBe(first.endpoint?.ipv4);
    expect(swarm.store.revision).toBe(revision);
  });

  test("of another node is neither answered nor detached", () => {
    const swarm = new SwarmState();
    swarm.node("n1");
    swarm.network({ name: "web" });
    swarm.must((draft) => attach(draft, request(), "node0"));
    const want = "permission-denied: endpoint e1 belongs to another node";
    expect(sentenceOf(swarm.write((draft) => attach(draft, request(), "n1")))).toBe(want);
    expect(sentenceOf(swarm.write((draft) => detach(draft, "e1", "n1", 1)))).toBe(want);
    expect(swarm.write((draft) => detach(draft, "nobody", "n1", 1))).toBeUndefined();
  });

  test("on an encrypted network is refused to a node that cannot encrypt, which says why", () => {
    const swarm = new SwarmState();
    const network = swarm.network({ name: "web" });
    const spec = network.spec && { ...network.spec, driverOpts: { encrypted: "" } };
    swarm.must((draft) => draft.update("network", { ...network, spec }) ?? true);
    const ask = () => swarm.write((draft) => attach(draft, request(), "n1"));
    const hear = (wireguard: object) => {
      const description = NodeDescription.fromPartial({ hostname: "host1", wireguard });
      const session = { nodeId: "n1", description, addr: "", dataPathAddr: "" };
      swarm.must((draft) => recordNodeSession(draft, session));
    };
    swarm.node("n1");
    const refusal = "failed-precondition: network web is encrypted, and node n1 cannot encrypt: ";
    expect(sentenceOf(ask())).toBe(`${refusal}it has not said that it can`);
    hear({ problem: "there is no wireguard-go" });
    expect(sentenceOf(ask())).toBe(`${refusal.replace("n1", "host1")}there is no wireguard-go`);
    hear({ publicKey: Buffer.alloc(32, 1) });
    expect(isRefusal(ask())).toBe(false);
  });

  const bad = [
    [{ network: "nosuch" }, "not-found: network nosuch not found"],
    [{ network: "closed" }, "failed-precondition: network closed not manually attachable"],
    [{ network: "ingress" }, "failed-precondition: network ingress not manually attachable"],
    [{ endpointId: "" }, 'invalid-argument: invalid endpoint id ""'],
    [{ name: "bad name" }, 'invalid-argument: name "bad name" is not valid'],
    [{ aliases: ["ok", ""] }, 'invalid-argument: alias " " is not valid'],
  ] as const;
  for (const [parts, want] of bad) {
    test(`is refused: ${want}`, () => {
      const swarm = new SwarmState();
      swarm.network({ name: "web" });
      swarm.network({ name: "closed", attachable: false });
      const result = swarm.write((draft) => attach(draft, request(parts), "node0"));
      expect(sentenceOf(result).startsWith(want)).toBe(true);
    });
  }
});
