import { describe, expect, test } from "vitest";
import { systemClock } from "../../common/clock.js";
import { Fault, isRefusal, orThrow, type Refusal } from "../../common/fault.js";
import { silentLogger } from "../../common/log.js";
import { seededRandom } from "../../common/random.js";
import { DEFAULT_TIMING } from "../../common/timing.js";
import { EventLog, FakeEndpoints, FakePlacing } from "../../test/fakes/placing.js";
import type { AttachWish } from "../seams.js";
import type { AttachmentRecord, NamespaceLook } from "../task/keeping.js";
import { AttachmentLoop } from "./attachments.js";
import { Releases } from "./releases.js";

function world() {
  const files: { records: readonly AttachmentRecord[]; releases: readonly string[] } = {
    records: [],
    releases: [],
  };
  return { endpoints: new FakeEndpoints(), files, namespaces: new Map<string, NamespaceLook>() };
}

async function agentIn(outside: ReturnType<typeof world>, seed = 1) {
  const { endpoints, files, namespaces } = outside;
  const placing = new FakePlacing();
  const events = new EventLog();
  const log = silentLogger();
  const releaseDisk = {
    load: async () => files.releases,
    save: async (ids: readonly string[]) => {
      files.releases = [...ids];
    },
  };
  const releases = new Releases(endpoints, releaseDisk, systemClock, DEFAULT_TIMING, log);
  let tick = () => {};
  const clock = {
    ...systemClock,
    every: (_ms: number, work: () => void) => {
      tick = work;
      return () => undefined;
    },
  };
  const attachments = new AttachmentLoop({
    endpoints,
    placing,
    releases,
    events,
    clock,
    log,
    random: seededRandom(seed),
    hostname: "h1",
    readyMs: 1_000,
    look: (path) => namespaces.get(path) ?? { kind: "missing" },
    disk: {
      load: async () => files.records,
      save: async (records) => {
        files.records = structuredClone(records);
      },
    },
  });
  await releases.restore();
  await attachments.restore();
  return { attachments, placing, events, tick: () => tick(), ...outside };
}

function wishOf(more: Partial<AttachWish> = {}): AttachWish {
  const none = { netns: "", name: "", interfaceName: "", ipv4: "", ipv6: "", aliases: [] };
  return { network: "overnet", ...none, ...more };
}

const BUILD: NamespaceLook = { kind: "namespace", inode: "4:1", isOwn: false };

function says(answer: unknown): string | undefined {
  return isRefusal(answer) ? answer.message : undefined;
}

describe("the machine itself", () => {
  test("gets an interface named for the network, and a second one is numbered", async () => {
    const agent = await agentIn(world());
    const first = orThrow(await agent.attachments.attach(wishOf()));
    expect(first).toMatchObject({ interfaceName: "sk-overnet", problem: "" });
    expect(first.endpoint.ipv4).toBe("10.0.1.2/24");
    expect(agent.placing.owned.get(first.id)?.sandbox).toEqual({ kind: "host" });
    const [second, third] = await Promise.all([
      agent.attachments.attach(wishOf()),
      agent.attachments.attach(wishOf()),
    ]);
    expect([orThrow(second).interfaceName, orThrow(third).interfaceName].sort()).toEqual([
      "sk-overnet2",
      "sk-overnet3",
    ]);
  });

  test("a subnet that is routed already is refused, and everything is undone", async () => {
    const agent = await agentIn(world());
    agent.placing.conflictSentence = "10.0.1.0/24 overlaps the route 10.0.0.0/16 of eth0";
    expect(says(await agent.attachments.attach(wishOf()))).toBe(
      "Could not attach to network overnet: 10.0.1.0/24 overlaps the route 10.0.0.0/16 of eth0",
    );
    expect(agent.endpoints.given.size).toBe(0);
    expect(agent.files.records).toEqual([]);
  });

  test("what the kernel does not take is undone", async () => {
    const agent = await agentIn(world());
    agent.placing.failure = new Fault("LINK_GONE", { name: "eth0" });
    expect(says(await agent.attachments.attach(wishOf()))).toContain(
      "Could not attach to network overnet: the interface eth0 is gone",
    );
    expect(agent.endpoints.given.size + agent.placing.owned.size).toBe(0);
  });
});

describe("an existing namespace", () => {
  const refused: { look: NamespaceLook; wish: Partial<AttachWish>; why: string }[] = [
    {
      look: { kind: "missing" },
      wish: { netns: "build" },
      why: "network namespace build not found (no file /run/netns/build)",
    },
    {
      look: { kind: "other", why: "it is an ordinary file" },
      wish: { netns: "build" },
      why: "/run/netns/build is not a network namespace: it is an ordinary file",
    },
    {
      look: { ...BUILD, isOwn: true },
      wish: { netns: "build" },
      why: "/run/netns/build is the machine's own network namespace; attach the machine itself by naming none",
    },
    {
      look: BUILD,
      wish: { netns: "../x" },
      why: 'invalid network namespace "../x": give a name under /run/netns or an absolute path',
    },
    {
      look: BUILD,
      wish: { netns: "build", interfaceName: "lo" },
      why: "interface lo is there already",
    },
  ];
  for (const { look, wish, why } of refused) {
    test(why, async () => {
      const outside = world();
      outside.namespaces.set("/run/netns/build", look);
      const agent = await agentIn(outside);
      expect(says(await agent.attachments.attach(wishOf(wish)))).toBe(why);
      expect(agent.endpoints.asked).toEqual([]);
    });
  }

  test("gets the first free eth, or the name that was asked for", async () => {
    const outside = world();
    outside.namespaces.set("/run/netns/build", BUILD);
    const agent = await agentIn(outside);
    const first = orThrow(await agent.attachments.attach(wishOf({ netns: "build" })));
    const second = orThrow(await agent.attachments.attach(wishOf({ netns: "/run/netns/build" })));
    const third = orThrow(
      await agent.attachments.attach(wishOf({ netns: "build", interfaceName: "ov0" })),
    );
    expect([first, second, third].map(({ interfaceName }) => interfaceName)).toEqual([
      "eth0",
      "eth1",
      "ov0",
    ]);
  });

  test("that goes away is a problem until it comes back, and then it is attached again", async () => {
    const outside = world();
    outside.namespaces.set("/run/netns/build", BUILD);
    const agent = await agentIn(outside);
    await agent.attachments.attach(wishOf({ netns: "build" }));
    outside.namespaces.delete("/run/netns/build");
    agent.tick();
    expect(agent.attachments.list()[0]?.problem).toBe("network namespace build is gone");
    agent.placing.owned.clear();
    outside.namespaces.set("/run/netns/build", { ...BUILD, inode: "4:2" });
    agent.tick();
    expect(agent.placing.owned.size).toBe(1);
    expect(agent.attachments.list()[0]?.problem).toBe("");
  });
});

describe("afterwards", () => {
  test("the next agent has it, at its place and address", async () => {
    const outside = world();
    const { id } = orThrow(
      await (await agentIn(outside)).attachments.attach(wishOf({ name: "host" })),
    );
    const next = await agentIn(outside, 2);
    expect(next.attachments.list()).toMatchObject([{ id, interfaceName: "sk-overnet" }]);
    expect(next.placing.owned.get(id)).toEqual({
      sandbox: { kind: "host" },
      interfaceName: "sk-overnet",
    });
  });

  test("what was being asked for when the agent was killed is given back", async () => {
    const outside = world();
    const { id } = orThrow(await (await agentIn(outside)).attachments.attach(wishOf()));
    outside.files.records = outside.files.records.map((record) => ({
      ...record,
      given: undefined,
    }));
    const next = await agentIn(outside, 2);
    expect(next.attachments.list()).toEqual([]);
    expect(next.endpoints.given.has(id)).toBe(false);
  });

  test.each(["id", "prefix", "name", "network"])("it is detached by its %s", async (how) => {
    const agent = await agentIn(world());
    const { id } = orThrow(await agent.attachments.attach(wishOf({ name: "mine" })));
    const ref = { id, prefix: id.slice(0, 8), name: "mine", network: "overnet" }[how] ?? "";
    const refusal: Refusal | undefined = await agent.attachments.detach(ref);
    expect(refusal).toBeUndefined();
    expect(agent.endpoints.given.size + agent.placing.owned.size).toBe(0);
    expect(agent.files.records).toEqual([]);
    expect(agent.events.actions()).toEqual([
      "attachment create",
      "network connect",
      "attachment remove",
      "network disconnect",
    ]);
    expect(says(await agent.attachments.detach(ref))).toBe(`No such attachment: ${ref}`);
  });

  test("a network means its attachment only while there is one", async () => {
    const agent = await agentIn(world());
    await agent.attachments.attach(wishOf());
    await agent.attachments.attach(wishOf());
    expect(says(await agent.attachments.detach("overnet"))).toContain("more than one attachment");
  });

  test("leaving the swarm takes all of them", async () => {
    const agent = await agentIn(world());
    await agent.attachments.attach(wishOf());
    await agent.attachments.clear();
    expect(agent.attachments.list()).toEqual([]);
    expect(agent.placing.owned.size).toBe(0);
    expect(agent.files.records).toEqual([]);
  });
});

test("killed at any moment of a detach, the next agent holds it whole or gives it back", async () => {
  const outside = world();
  const first = await agentIn(outside);
  const { id } = orThrow(await first.attachments.attach(wishOf()));
  // What is on disk whenever a step of the detach begins is what a kill there leaves.
  const moments: (typeof outside.files)[] = [];
  const detach = outside.endpoints.detach.bind(outside.endpoints);
  outside.endpoints.detach = async (endpointId: string) => {
    moments.push(structuredClone(outside.files));
    const answer = await detach(endpointId);
    moments.push(structuredClone(outside.files));
    return answer;
  };
  const watched = new Proxy(outside.files, {
    set(target, key, value) {
      Reflect.set(target, key, value);
      moments.push(structuredClone(target));
      return true;
    },
  });
  const second = await agentIn({ ...outside, files: watched }, 2);
  await second.attachments.detach(id);
  expect(moments.length).toBeGreaterThan(3);
  for (const files of moments) {
    const isThere = outside.endpoints.given.has(id);
    expect(isThere).toBe(false);
    const next = await agentIn({ ...outside, files: structuredClone(files) }, 3);
    expect(next.attachments.list()).toEqual([]);
  }
});
