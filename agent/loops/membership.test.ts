import { expect, test } from "vitest";
import { systemClock } from "../../common/clock.js";
import { Fault, isRefusal, refuse } from "../../common/fault.js";
import { formatJoinToken } from "../../common/join-token.js";
import { silentLogger } from "../../common/log.js";
import { DEFAULT_TIMING } from "../../common/timing.js";
import { Availability, Role } from "../../proto/gen/types.js";
import { PLAIN_INIT } from "../../test/fakes/init-swarm.js";
import { nodeCertificate } from "../../test/fakes/node-certificate.js";
import type { MachineAddress } from "../member/advertise.js";
import type {
  InitSwarm,
  Issued,
  JoinSwarm,
  ManagerHost,
  NodeIdentity,
  NodeRecord,
} from "../seams.js";
import type { Member, RenewableLink } from "./member.js";
import { MembershipLoop } from "./membership.js";

const token = formatJoinToken({ rootDigest: new Uint8Array(32).fill(1), secret: "s".repeat(25) });
const bytes = Buffer.from("x");
const issued: Issued = {
  nodeId: "me",
  clusterId: "c",
  role: Role.WORKER,
  certificate: bytes,
  root: bytes,
  dataPathPort: 4789,
  dataPathAddr: "",
};

/** A node whose disk, manager process and swarm are these few variables. */
function world() {
  const disk: { node?: NodeRecord | undefined; identity?: NodeIdentity | undefined } = {};
  const asked: string[] = [];
  const state = {
    asked,
    disk,
    wiped: 0,
    portTaken: false,
    started: false,
    hasSeat: false,
    left: [] as string[],
    members: [] as string[],
    moved: [] as object[],
    machine: [] as MachineAddress[],
    advertised: "",
  };
  const answers = {
    join: async (addr: string): Promise<Issued | ReturnType<typeof refuse>> => {
      asked.push(addr);
      return issued;
    },
    start: async () => {
      state.started = true;
    },
    status: async (): Promise<unknown> =>
      state.hasSeat
        ? { state: "running", members: [{ nodeId: "me" }] }
        : refuse("unavailable", "no"),
    unheard: (): readonly string[] | ReturnType<typeof refuse> => [],
    init: async (): Promise<unknown> => ({
      nodeId: "me",
      clusterId: "c",
      certificate: bytes,
      rootCaCert: bytes,
    }),
  };
  const manager = {
    get started() {
      return state.started;
    },
    start: () => answers.start(),
    stop: async () => {},
    wipe: async () => {
      state.started = false;
      state.wiped++;
    },
    init: () => answers.init(),
    hasState: () => state.hasSeat,
    status: () => answers.status(),
    unheardManagers: async () => answers.unheard(),
    leave: async () => {
      state.left.push("seat");
      return {};
    },
    control: () => "the control client",
  } as unknown as ManagerHost;
  const loop = new MembershipLoop({
    hostname: "h1",
    get advertiseAddr() {
      return state.advertised;
    },
    clock: systemClock,
    timing: DEFAULT_TIMING,
    log: silentLogger(),
    nodeDisk: {
      load: async () => disk.node,
      save: async (record) => {
        disk.node = record;
      },
      clear: async () => {
        disk.node = undefined;
      },
    },
    identityDisk: {
      load: async () => disk.identity,
      unseal: async () => undefined,
      replaceKey: async () => undefined,
      sealWith: async () => {},
      save: async (identity) => {
        disk.identity = identity;
      },
      clear: async () => {
        disk.identity = undefined;
      },
    },
    journal: { load: async () => undefined, save: async () => {}, clear: async () => {} },
    door: {
      newKey: async () => ({ key: bytes, csr: bytes }),
      join: (addr) => answers.join(addr),
      renew: async () => refuse("unavailable", "no"),
    },
    manager,
    openLink: () =>
      ({
        leave: async () => void state.left.push("swarm"),
        close: () => {},
      }) as unknown as RenewableLink,
    machine: {
      addresses: async () => state.machine,
      sourceTowards: async (host) => (host === "nohost.invalid" ? undefined : "192.0.2.7"),
      dataPortProblem: (_address, port) =>
        state.portTaken ? `UDP port ${port} is already in use on this machine` : undefined,
    },
    makeMember: async (record, identity) => {
      const member = {
        record,
        identity,
        everOpen: false,
        problem: "",
        session: { kind: "connecting" },
      };
      const held = { current: { revision: 0, endpoints: [] } };
      const nothing = async () => {};
      const rest = {
        held,
        start: () => {},
        close: nothing,
        quiesce: nothing,
        openWithin: nothing,
        demotedWithin: nothing,
      };
      const setAddresses = (moved: object) => void state.moved.push(moved);
      return { ...member, ...rest, setAddresses } as unknown as Member;
    },
    onMember: async (member) => void state.members.push(member?.record.nodeId ?? "none"),
  });
  return { loop, state, answers };
}

const init: InitSwarm = { ...PLAIN_INIT, advertiseAddr: "192.0.2.1" };
const join: JoinSwarm = {
  listenAddr: "",
  advertiseAddr: "",
  dataPathAddr: "",
  availability: Availability.ACTIVE,
  remoteAddrs: ["192.0.2.9"],
  token,
};
const text = (value: unknown) => (isRefusal(value) ? value.message : value);

test("outside a swarm every manager's call says how to get into one", async () => {
  const { loop } = world();
  expect(text(loop.control())).toBe(
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.',
  );
  expect(text(await loop.leave(false))).toBe("This node is not part of a swarm");
  expect(loop.status().state).toBe("inactive");
});

test("a swarm is made once", async () => {
  const { loop, state } = world();
  expect(await loop.init(init)).toEqual({ nodeId: "me" });
  expect(loop.status()).toMatchObject({
    state: "active",
    nodeAddr: "192.0.2.1",
    role: Role.MANAGER,
  });
  expect(state.disk.node).toMatchObject({ role: "manager", advertiseAddr: "192.0.2.1:2377" });
  for (const again of [await loop.init(init), await loop.join(join)]) {
    expect(text(again)).toBe(
      'This node is already part of a swarm. Use "docker swarm leave" to leave this swarm and join another one.',
    );
  }
  state.hasSeat = true;
  expect(text(await loop.leave(false))).toMatch(
    /^You are attempting to leave the swarm on a node that is participating as a manager\. Removing the last manager erases all current state of the swarm\. Use `--force` to ignore this message\. $/,
  );
  expect(await loop.leave(true)).toBeUndefined();
  expect(state.disk).toEqual({ node: undefined, identity: undefined });
  expect(state.members).toEqual(["me", "none"]);
});

test.each([
  {
    name: "one of three while another is away",
    members: "me b c",
    unheard: ["c"],
    says: "Removing this node leaves 1 managers out of 3: 2 would be left, 2 of them must answer, and 1 does now. Without a Raft quorum your swarm will be inaccessible. The only way to restore a swarm that has lost consensus is to reinitialize it with `--force-new-cluster`. Use `--force` to suppress this message.",
  },
  {
    name: "one of three",
    members: "me b c",
    unheard: [],
    says: "Leaving the swarm will leave you with 2 managers out of 3. This means no manager may fail after that. Use `--force` to suppress this message.",
  },
  {
    name: "one of four, itself not heard",
    members: "me b c d",
    unheard: ["me"],
    says: "Leaving the swarm will leave you with 3 managers out of 4. This means 1 of them may fail after that. Use `--force` to suppress this message.",
  },
  {
    name: "one of two",
    members: "me b",
    unheard: [],
    says: "Leaving the swarm will leave you with 1 managers out of 2. This means no manager may fail after that. Use `--force` to suppress this message.",
  },
])("a manager that leaves is told what the others come to: $name", async (each) => {
  const { loop, answers } = world();
  await loop.init(init);
  const members = each.members.split(" ").map((nodeId) => ({ nodeId, learner: false }));
  answers.status = async () => ({ state: "running", members });
  answers.unheard = () => each.unheard;
  const start =
    "You are attempting to leave the swarm on a node that is participating as a manager. ";
  expect(text(await loop.leave(false))).toBe(start + each.says);
});

test("a manager that has failed is not taken for the last one when it is to leave", async () => {
  const { loop, answers } = world();
  await loop.init(init);
  answers.status = async () => ({ state: "failed", message: "x.log is damaged at byte 8." });
  expect(text(await loop.leave(false))).toMatch(/does not run: x\.log is damaged at byte 8\. Use/);
  answers.status = async () => refuse("unavailable", "no");
  expect(text(await loop.leave(false))).toMatch(/does not run: its process does not answer\. Use/);
  answers.status = async () => ({ state: "running", members: [{ nodeId: "b" }] });
  answers.unheard = () => refuse("unavailable", "no leader");
  expect(text(await loop.leave(false))).toMatch(/fewer than half of its 2 managers/);
});

test.each([
  ["a bad address", { ...init, advertiseAddr: "nosuchif" }, /^advertise address must be/],
  ["no address to be found", { ...init, advertiseAddr: "" }, /--advertise-addr/],
  ["a data path port out of range", { ...init, dataPathPort: 80 }, /invalid data path port 80/],
])("init with %s is refused before anything starts", async (_name, request, message) => {
  const { loop, state } = world();
  expect(text(await loop.init(request))).toMatch(message);
  expect(state.started).toBe(false);
});

test("a data path port that a program holds is named", async () => {
  const { loop, state } = world();
  state.portTaken = true;
  expect(text(await loop.init(init))).toBe("UDP port 4789 is already in use on this machine");
});

test.each([
  [
    "refuses",
    async () => refuse("unavailable", "listen tcp 0.0.0.0:2377: bind: address already in use"),
  ],
  ["fails", async () => Promise.reject(new Fault("MANAGER_START", { why: "exit code 1" }))],
])("when the manager process %s, nothing is left of the attempt", async (_name, answer) => {
  const { loop, state, answers } = world();
  answers.init = answer;
  expect(text(await loop.init(init))).toMatch(
    /address already in use|the manager process does not start: exit code 1/,
  );
  expect(state.disk).toEqual({ node: undefined, identity: undefined });
  expect(state.started).toBe(false);
  expect(loop.status().state).toBe("inactive");
});

test("a worker joins with the address it has towards the manager", async () => {
  const { loop, state } = world();
  expect(await loop.join(join)).toEqual({ role: Role.WORKER });
  expect(state.asked).toEqual(["192.0.2.9:2377"]);
  expect(state.disk.node).toMatchObject({ role: "worker", advertiseAddr: "192.0.2.7:2377" });
  expect(text(loop.control())).toMatch(/^This node is not a swarm manager\. Worker nodes can't/);
  // A worker's leave needs nobody: no manager answers here.
  expect(await loop.leave(false)).toBeUndefined();
  expect(loop.status().state).toBe("inactive");
});

test.each([
  ["a bad token", { ...join, token: "SWMTKN-1-bad" }, /^invalid join token$/],
  ["no address", { ...join, remoteAddrs: [] }, /at least 1 RemoteAddr/],
  ["a bad address", { ...join, remoteAddrs: ["a b"] }, /invalid remote address/],
])("join with %s asks nobody", async (_name, request, message) => {
  const { loop, state } = world();
  expect(text(await loop.join(request))).toMatch(message);
  expect(state.asked).toEqual([]);
});

test("a manager's name that leads nowhere is what is wrong, not this machine's addresses", async () => {
  const { loop } = world();
  const request = { ...join, listenAddr: "0.0.0.0:2377", remoteAddrs: ["nohost.invalid"] };
  const said = text(await loop.join(request));
  expect(said).toContain("cannot reach a manager: nohost.invalid");
});

test("an unreachable manager is passed over, a refused token is not tried elsewhere", async () => {
  const { loop, state, answers } = world();
  const request = { ...join, remoteAddrs: ["192.0.2.8", "192.0.2.9"] };
  answers.join = async (addr) => {
    state.asked.push(addr);
    return refuse(
      addr.startsWith("192.0.2.8") ? "unavailable" : "permission-denied",
      `no, says ${addr}`,
    );
  };
  expect(text(await loop.join(request))).toBe("no, says 192.0.2.9:2377");
  state.asked.length = 0;
  answers.join = async (addr) => {
    state.asked.push(addr);
    return refuse("permission-denied", "invalid join token");
  };
  await loop.join(request);
  expect(state.asked).toEqual(["192.0.2.8:2377"]);
});

test("a join that fails when the swarm has let the node in tells the swarm so", async () => {
  const { loop, state } = world();
  state.portTaken = true;
  expect(text(await loop.join(join))).toBe("UDP port 4789 is already in use on this machine");
  expect(state.left).toEqual(["swarm"]);
});

test("a seat that a crash left without a membership is given back before it is swept up", async () => {
  const { loop, state } = world();
  state.hasSeat = true;
  await loop.resume();
  expect(state.left).toEqual(["seat"]);
  expect(state.wiped).toBe(1);
});

test("one thing at a time", async () => {
  const { loop } = world();
  const first = loop.init(init);
  expect(text(await loop.join(join))).toMatch(/making a swarm/);
  await first;
});

test("a start finds the membership on disk, or sweeps up what a crash left of none", async () => {
  const { loop, state } = world();
  state.disk.identity = { key: bytes, certificate: bytes, root: bytes };
  await loop.resume();
  expect(state.disk.identity).toBeUndefined();
  expect(state.wiped).toBe(1);
  await loop.init(init);
  await loop.resume();
  expect(loop.status().nodeId).toBe("me");
});

const NEW = {
  interfaceName: "eth0",
  address: "192.0.2.5",
  family: 4,
  usable: true,
  inside: false,
} as const;

test("a node that is told of its address speaks and listens there, by the port it had", async () => {
  const { loop, state } = world();
  expect(text(await loop.setAddr("me", "192.0.2.5"))).toBe("This node is not part of a swarm");
  await loop.init({ ...init, advertiseAddr: "192.0.2.1:4000", listenAddr: "192.0.2.1:4000" });
  state.machine = [NEW];
  expect(await loop.setAddr("me", "192.0.2.5")).toMatchObject({ addr: "192.0.2.5:4000" });
  expect(state.moved).toEqual([
    { listenAddr: "192.0.2.5:4000", advertiseAddr: "192.0.2.5:4000", dataPathAddr: "192.0.2.5" },
  ]);
  expect(text(await loop.setAddr("me", "0.0.0.0"))).toMatch(/advertise address must be/);
  expect(text(await loop.setAddr("other", "h:99999"))).toMatch(/is no address of a manager/);
});

test("a daemon that is started with another address goes by it, and keeps it", async () => {
  const { loop, state } = world();
  await loop.init(init);
  await loop.close();
  state.machine = [NEW];
  state.advertised = "eth0";
  const life = { notBeforeMs: 0, notAfterMs: Date.now() + 3_600_000 };
  const made = await nodeCertificate({ nodeId: "me", role: "manager", ...life });
  state.disk.identity = { ...made, root: bytes };
  await loop.resume();
  const at = { advertiseAddr: "192.0.2.5:2377", dataPathAddr: "192.0.2.5" };
  expect(state.disk.node).toMatchObject(at);
  expect(loop.member?.record).toMatchObject(at);
});
