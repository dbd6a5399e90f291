// Three manager processes: joining, following, failing over, coming back, being demoted.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isRefusal, Refused } from "../../common/fault.js";
import { redirectOf } from "../../common/grpc/status.js";
import type { Identity } from "../../proto/gen/admin.js";
import { type Node, Role } from "../../proto/gen/types.js";
import { compiledManager } from "./compiled.js";
import { clientsOf, startThree, TestAgent, TestManager, until } from "./harness.js";

let main: string;
let managers: TestManager[] = [];

beforeAll(async () => {
  main = await compiledManager();
  await startThree(main, managers);
}, 120_000);
afterAll(async () => {
  for (const manager of managers) await manager.close();
});

async function nodesBy(manager: TestManager): Promise<readonly Node[]> {
  return (await manager.must(manager.control, manager.control.listNodes, {})).nodes;
}

/** The one that leads, and the others. */
async function leaderAndFollowers(alive: readonly TestManager[]) {
  return until("a leader", async () => {
    const [asked] = alive;
    const { leaderNodeId } = await (asked?.status() ?? Promise.reject(new Error("nobody")));
    const leader = alive.find(({ nodeId }) => nodeId === leaderNodeId);
    const followers = alive.filter((each) => each !== leader);
    return leader && { leader, followers };
  });
}

function seatRequest(manager: TestManager, identity: Identity, remote: TestManager) {
  const { addr } = manager;
  return { identity, listenAddr: addr, advertiseAddr: addr, remoteAddr: remote.addr };
}

async function setRole(by: TestManager, nodeId: string, role: Role) {
  const node = (await nodesBy(by)).find(({ id }) => id === nodeId);
  if (!node?.spec) throw new Error("no such node");
  const spec = { ...node.spec, role };
  const version = node.meta?.version ?? 0;
  return by.call(by.control, by.control.updateNode, { id: nodeId, version, spec });
}

/** A manager that was started a moment ago may not count for the quorum yet: that refusal passes. */
async function mustSetRole(by: TestManager, nodeId: string, role: Role): Promise<void> {
  await until("the role is set", async () => {
    const answer = await setRole(by, nodeId, role);
    if (!isRefusal(answer)) return true;
    if (answer.code !== "failed-precondition") throw new Refused(answer);
    return undefined;
  });
}

describe("three managers", () => {
  test("are three voters, and each is recorded with its address", async () => {
    for (const manager of managers) {
      const { state, members } = await manager.status();
      expect(state).toBe("running");
      expect(members.filter(({ learner }) => !learner)).toHaveLength(3);
    }
    const [first] = managers;
    if (!first) throw new Error("none");
    await until("all are recorded", async () => {
      const nodes = await nodesBy(first);
      const addrs = nodes.map(({ manager }) => manager?.addr).sort();
      const wanted = managers.map(({ addr }) => addr).sort();
      return JSON.stringify(addrs) === JSON.stringify(wanted) || undefined;
    });
  });

  test("joining again gives the same seat", async () => {
    const [first, second] = managers;
    if (!first || !second) throw new Error("none");
    const again = await second.call(second.admin, second.admin.join, {
      identity: second.identity,
      listenAddr: second.addr,
      advertiseAddr: second.addr,
      remoteAddr: first.addr,
    });
    expect(isRefusal(again) && again.message).toContain("already part of a swarm");
  });

  test("a follower answers as the leader does", async () => {
    const { followers } = await leaderAndFollowers(managers);
    for (const [index, follower] of followers.entries()) {
      const network = await follower.createNetwork(`by-follower-${index}`);
      if (isRefusal(network)) throw new Refused(network);
      expect(network.subnets).toHaveLength(1);
      const taken = await follower.createNetwork(`by-follower-${index}`);
      expect(isRefusal(taken) && taken.code).toBe("already-exists");
    }
    const [one, two] = await Promise.all(
      followers.map((each) => each.must(each.control, each.control.listNetworks, {})),
    );
    expect(one).toEqual(two);
  });

  test("a follower redirects sessions and issues certificates", async () => {
    const { leader, followers } = await leaderAndFollowers(managers);
    const [follower] = followers;
    if (!follower) throw new Error("none");
    const agent = await TestAgent.join(follower.addr, await follower.token("worker"));
    const session = agent.openSession();
    await until("a redirect", () => session.error);
    expect(redirectOf(session.error)).toBe(leader.addr);
    session.close();
    const right = agent.openSession(leader.addr);
    await right.heard("assignments");
    right.close();
  });

  test("the leader killed: another serves within seconds, and it comes back with all", async () => {
    const { leader, followers } = await leaderAndFollowers(managers);
    const [follower] = followers;
    if (!follower) throw new Error("none");
    await leader.kill();
    const beganMs = Date.now();
    const network = await follower.createNetwork("after-the-kill");
    expect(isRefusal(network) ? network.message : "made").toBe("made");
    expect(Date.now() - beganMs).toBeLessThan(3_000);
    const unheard = async () => {
      const seen = await follower.must(follower.control, follower.control.listNodes, {});
      return JSON.stringify(seen.unheardManagers);
    };
    const alone = JSON.stringify([leader.nodeId]);
    await until("it is known not to answer", async () => (await unheard()) === alone || undefined);
    await leader.spawn();
    await until("it is known to answer", async () => (await unheard()) === "[]" || undefined);
    await until("it has caught up", async () => {
      const { networks } = await leader.must(leader.control, leader.control.listNetworks, {});
      return networks.some(({ spec }) => spec?.name === "after-the-kill") || undefined;
    });
    const { commit } = await follower.status();
    await until("its own log is there", async () => {
      return (await leader.status()).applied >= commit || undefined;
    });
  });

  test("the leader frozen, its connections open: reads and writes go on by another", async () => {
    const { leader, followers } = await leaderAndFollowers(managers);
    const [follower] = followers;
    if (!follower) throw new Error("none");
    await follower.must(follower.control, follower.control.listNetworks, {});
    leader.signal("SIGSTOP");
    try {
      const beganMs = Date.now();
      const made = follower.createNetwork("while-it-is-frozen");
      const { networks } = await follower.must(follower.control, follower.control.listNetworks, {});
      expect(networks.length).toBeGreaterThan(1);
      const network = await made;
      expect(isRefusal(network) ? network.message : "made").toBe("made");
      // Sooner than a caller gives up, so nobody had to wait until the frozen one's connections are given up.
      expect(Date.now() - beganMs).toBeLessThan(8_000);
    } finally {
      leader.signal("SIGCONT");
    }
    await until("it follows", async () => {
      const { leaderNodeId } = await leader.status();
      return (leaderNodeId !== leader.nodeId && leaderNodeId !== "") || undefined;
    });
  });

  test("without quorum it refuses in Docker's words, and goes on when it is back", async () => {
    const [first, second, third] = managers;
    if (!first || !second || !third) throw new Error("none");
    await second.kill();
    await third.kill();
    const refused = await until("a refusal", async () => {
      const answer = await first.createNetwork("nobody-agrees").catch(() => undefined);
      const inVain = isRefusal(answer) && answer.message.startsWith("The swarm does not");
      return inVain ? answer.message : undefined;
    });
    expect(refused).toContain("The swarm does not have a leader");
    await second.spawn();
    await third.spawn();
    await until("it goes on", async () => {
      const made = await first.createNetwork("agreed").catch(() => undefined);
      return (
        (made !== undefined && (!isRefusal(made) || made.code === "already-exists")) || undefined
      );
    });
  });

  test("one that is demoted leaves the group, is a worker, and is told so", async () => {
    const { leader, followers } = await leaderAndFollowers(managers);
    const [demoted, other] = followers;
    if (!demoted || !other) throw new Error("none");
    await mustSetRole(leader, demoted.nodeId, Role.WORKER);
    await until("it is a worker", async () => {
      const node = (await nodesBy(other)).find(({ id }) => id === demoted.nodeId);
      return (node?.role === Role.WORKER && node.manager === undefined) || undefined;
    });
    await until("it knows", async () => (await demoted.status()).state === "removed" || undefined);
    expect((await leader.status()).members).toHaveLength(2);
  });

  test("a promoted one takes a seat again", async () => {
    const { leader } = await leaderAndFollowers(managers.filter(({ nodeId }) => nodeId !== ""));
    const removed = await until("the removed one", async () => {
      for (const manager of managers)
        if ((await manager.status()).state === "removed") return manager;
      return undefined;
    });
    await mustSetRole(leader, removed.nodeId, Role.MANAGER);
    await removed.must(removed.admin, removed.admin.join, {
      identity: removed.identity,
      listenAddr: removed.addr,
      advertiseAddr: removed.addr,
      remoteAddr: leader.addr,
    });
    expect((await removed.status()).members).toHaveLength(3);
  });

  test("a worker that is promoted is told, gets a manager's certificate, and may take a seat; its goodbye gives it back", async () => {
    const { leader } = await leaderAndFollowers(managers);
    const fourth = await TestManager.start(main);
    try {
      const agent = await TestAgent.join(leader.addr, await leader.token("worker"));
      const session = agent.openSession(leader.addr);
      await session.heard("node");
      const early = await fourth.call(
        fourth.admin,
        fourth.admin.join,
        seatRequest(fourth, agent.identity, leader),
      );
      expect(isRefusal(early) && early.message).toContain("not a manager's");
      await mustSetRole(leader, agent.nodeId, Role.MANAGER);
      const told = await session.heard("node", 2);
      const [, update] = told;
      expect(update?.$case === "node" && update.value.node?.spec?.role).toBe(Role.MANAGER);
      const renewed = await agent.renew();
      expect(renewed.role).toBe(Role.MANAGER);
      fourth.nodeId = agent.nodeId;
      const request = seatRequest(fourth, renewed.identity, leader);
      const status = await fourth.must(fourth.admin, fourth.admin.join, request);
      expect(status.members.filter(({ learner }) => !learner)).toHaveLength(4);
      const again = (await renewed.renew()).identity;
      await fourth.must(fourth.admin, fourth.admin.setIdentity, again);
      // Its new certificate is shown and taken; what it is asked there is for its node alone.
      const shown = renewed.clients(fourth.addr);
      const listed = await shown.call(shown.control, shown.control.listNodes, {});
      expect(isRefusal(listed) && listed.message).toContain("own socket");
      shown.close();
      session.close();
      // Its log may be damaged, and then it cannot say so itself.
      await fourth.kill();
      await until("its goodbye is heard", async () => {
        const { leader: now } = await leaderAndFollowers(managers);
        const reached = clientsOf(now.addr, renewed.identity);
        const { dispatcher } = reached;
        const heard = await reached.call(dispatcher, dispatcher.leave, {}).catch(() => undefined);
        reached.close();
        return (heard !== undefined && !isRefusal(heard)) || undefined;
      });
      await until(
        "it has no seat",
        async () => (await leader.status()).members.length === 3 || undefined,
      );
    } finally {
      await fourth.close();
    }
  });

  test("a leader that is demoted hands over first", async () => {
    const { leader, followers } = await leaderAndFollowers(managers);
    const [follower] = followers;
    if (!follower) throw new Error("none");
    const agent = await TestAgent.join(leader.addr, await follower.token("worker"));
    const session = agent.openSession(leader.addr);
    await session.heard("assignments");
    await mustSetRole(follower, leader.nodeId, Role.WORKER);
    await until("its sessions end", () => session.ended || undefined);
    session.close();
    await until("it is gone", async () => {
      const { members } = await follower.status();
      return members.length === 2 || undefined;
    });
    const network = await follower.createNetwork("after-the-handover");
    expect(isRefusal(network)).toBe(false);
    managers = managers.filter((each) => each !== leader);
    await leader.close();
  });

  test("of two, one may leave, and the last cannot be demoted", async () => {
    const [one, two] = managers;
    if (!one || !two) throw new Error("none");
    await two.must(two.admin, two.admin.leave, { force: false });
    await until("one is alone", async () => (await one.status()).members.length === 1 || undefined);
    const last = await setRole(one, one.nodeId, Role.WORKER);
    expect(isRefusal(last) && last.message).toBe(
      "attempting to demote the last manager of the swarm",
    );
  });
});
