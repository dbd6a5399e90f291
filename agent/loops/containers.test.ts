import { describe, expect, test } from "vitest";
import { systemClock } from "../../common/clock.js";
import { Fault, isRefusal, orThrow, type Refusal, refuse } from "../../common/fault.js";
import { silentLogger } from "../../common/log.js";
import { seededRandom } from "../../common/random.js";
import { DEFAULT_TIMING } from "../../common/timing.js";
import { EventLog, FakeEndpoints, FakePlacing } from "../../test/fakes/placing.js";
import { FakeRuntime, MemoryContainerDisk } from "../../test/fakes/runtime.js";
import type { ContainerSpec } from "../seams.js";
import { compareAge } from "../task/life.js";
import { ContainerLoop } from "./containers.js";
import { Releases } from "./releases.js";

const never = new AbortController().signal;

/** What outlives an agent: the swarm, the processes, the disk. */
function world() {
  const endpoints = new FakeEndpoints();
  const runtime = new FakeRuntime();
  const disk = new MemoryContainerDisk();
  const released: string[][] = [[]];
  return { endpoints, runtime, disk, released };
}

async function agentIn(outside: ReturnType<typeof world>, seed = 1) {
  const { endpoints, runtime, disk, released } = outside;
  const placing = new FakePlacing();
  const events = new EventLog();
  const log = silentLogger();
  const releaseDisk = {
    load: async () => released.at(-1) ?? [],
    save: async (ids: readonly string[]) => void released.push([...ids]),
  };
  const timing = { ...DEFAULT_TIMING, retryMinMs: 1, retryMaxMs: 2 };
  const releases = new Releases(endpoints, releaseDisk, systemClock, timing, log);
  const random = seededRandom(seed);
  const tools = { endpoints, placing, releases, runtime, disk, events, log, random };
  const containers = new ContainerLoop({ ...tools, clock: systemClock, readyMs: 1_000 });
  await releases.restore();
  await containers.restore();
  return { containers, placing, events, releases, ...outside };
}

function specOf(more: Partial<ContainerSpec> = {}): ContainerSpec {
  return {
    name: "web",
    image: "host",
    runtime: "process",
    entrypoint: [],
    command: ["sleep", "1"],
    env: [],
    workingDir: "",
    user: "",
    hostname: "",
    tty: false,
    openStdin: false,
    labels: {},
    autoRemove: false,
    stopSignal: "",
    stopTimeoutSeconds: 10,
    networkMode: "networks",
    endpoints: [{ network: "overnet", aliases: [], ipv4: "", ipv6: "" }],
    ...more,
  };
}

function messageOf(refusal: Refusal | undefined): string | undefined {
  return refusal?.message;
}

describe("creating", () => {
  test.each([
    {
      spec: { name: "-x" },
      says: "Invalid container name (-x), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
    },
    { spec: { command: [] }, says: "no command specified" },
    { spec: { stopSignal: "SIGX" }, says: "Invalid signal: SIGX" },
    {
      spec: { workingDir: "here" },
      says: "the working directory 'here' is invalid, it needs to be an absolute path",
    },
    { spec: { hostname: "a b" }, says: "invalid hostname format: a b" },
  ])("$spec is refused", async ({ spec, says }) => {
    const { containers } = await agentIn(world());
    const answer = await containers.create(specOf(spec));
    expect(isRefusal(answer) && answer.message).toBe(says);
    expect(containers.list()).toEqual([]);
  });

  test("a name is used once, and free again after the removal", async () => {
    const { containers } = await agentIn(world());
    const { id } = orThrow(await containers.create(specOf()));
    const again = await containers.create(specOf());
    expect(isRefusal(again) && again.message).toBe(
      `Conflict. The container name "/web" is already in use by container "${id}". ` +
        "You have to remove (or rename) that container to be able to reuse that name.",
    );
    expect(await containers.remove("web", false)).toBeUndefined();
    expect(isRefusal(await containers.create(specOf()))).toBe(false);
  });

  test("nothing by that name is said in Docker's words", async () => {
    const { containers } = await agentIn(world());
    expect(messageOf(await containers.start("nosuch"))).toBe("No such container: nosuch");
  });
});

describe("a life", () => {
  test("its address is there while it runs, and given back when it has ended", async () => {
    const agent = await agentIn(world());
    const { id } = orThrow(await agent.containers.create(specOf()));
    expect(await agent.containers.start("web")).toBeUndefined();
    const shown = orThrow(agent.containers.get("web"));
    expect(shown).toMatchObject({ state: "running", pid: 100 });
    expect(shown.endpoints[0]?.endpoint.ipv4).toBe("10.0.1.2/24");
    expect(agent.placing.owned.size).toBe(1);
    const ended = agent.containers.wait("web", "next-exit", never);
    agent.runtime.processes.get(id)?.end(3);
    expect(await ended).toEqual({ exitCode: 3, error: "" });
    expect(
      agent.endpoints.given.size + agent.placing.owned.size + agent.placing.sandboxes.size,
    ).toBe(0);
    expect(agent.events.actions()).toEqual([
      "container create",
      "network connect",
      "container start",
      "container die",
      "network disconnect",
    ]);
  });

  test("a start that failed is no exit; with --rm it is a removal", async () => {
    const agent = await agentIn(world());
    await agent.containers.create(specOf({ autoRemove: true }));
    agent.runtime.failure = { exitCode: 127, message: "nothing to run" };
    const removed = agent.containers.wait("web", "removed", never);
    expect(messageOf(await agent.containers.start("web"))).toContain("nothing to run");
    expect(await removed).toEqual({ exitCode: 127, error: "" });
  });

  test("two who start it at once start it once", async () => {
    const agent = await agentIn(world());
    await agent.containers.create(specOf());
    await Promise.all([agent.containers.start("web"), agent.containers.start("web")]);
    expect(agent.endpoints.asked).toHaveLength(1);
  });

  test("stopping waits, then kills", async () => {
    const agent = await agentIn(world());
    const { id } = orThrow(await agent.containers.create(specOf()));
    await agent.containers.start("web");
    const process = agent.runtime.processes.get(id);
    process?.endsOn.delete(15);
    expect(await agent.containers.stop("web", 0.02)).toBeUndefined();
    expect(process?.signals).toEqual([15, 9]);
    expect(agent.containers.get("web")).toMatchObject({ state: "exited", exitCode: 137 });
    expect(messageOf(await agent.containers.kill("web", ""))).toBe(
      `Cannot kill container: web: Container ${id} is not running`,
    );
  });

  test("everything that is written of it is newer than what was", async () => {
    const agent = await agentIn(world());
    const { id } = orThrow(await agent.containers.create(specOf()));
    for (let i = 0; i < 3; i++) {
      await agent.containers.start(id);
      await agent.containers.stop(id, undefined);
    }
    await agent.containers.remove(id, false);
    agent.disk.history.reduce((before, next) => {
      expect(compareAge(next, before)).toBeGreaterThanOrEqual(0);
      return next;
    });
  });
});

describe("a start that fails is undone", () => {
  const cases: {
    name: string;
    arrange: (agent: Awaited<ReturnType<typeof agentIn>>) => void;
    says: string;
  }[] = [
    {
      name: "the network is not attachable",
      arrange: ({ endpoints }) => {
        endpoints.refusal = refuse(
          "failed-precondition",
          "network overnet not manually attachable",
        );
      },
      says: "Could not attach to network overnet: network overnet not manually attachable",
    },
    {
      name: "the kernel does not take it",
      arrange: ({ placing }) => {
        placing.failure = new Fault("LINK_GONE", { name: "eth0" });
      },
      says: "the interface eth0 is gone; is something else removing it?",
    },
    {
      name: "the subnet is the machine's own",
      arrange: ({ placing }) => {
        placing.conflictSentence = "10.0.1.0/24 overlaps the route 10.0.0.0/16";
      },
      says: "Could not attach to network overnet: 10.0.1.0/24 overlaps the route 10.0.0.0/16",
    },
    {
      name: "there is no such command",
      arrange: ({ runtime }) => {
        runtime.failure = {
          exitCode: 127,
          message: 'exec: "x": executable file not found in $PATH',
        };
      },
      says: 'failed to start the container\'s process: exec: "x": executable file not found in $PATH',
    },
    {
      name: "the disk is full",
      arrange: ({ disk }) => {
        disk.isFull = true;
      },
      says: "there is no space left on the disk for /state/containers",
    },
  ];
  for (const { name, arrange, says } of cases) {
    test(`when ${name}`, async () => {
      const agent = await agentIn(world());
      await agent.containers.create(specOf());
      arrange(agent);
      expect(messageOf(await agent.containers.start("web"))).toBe(says);
      expect(agent.containers.get("web")).toMatchObject({ state: "created", error: says });
      expect(agent.endpoints.given.size + agent.placing.owned.size).toBe(0);
      expect(agent.placing.sandboxes.size + agent.runtime.processes.size).toBe(0);
    });
  }

  test("an address that may have been given is asked back until somebody answers", async () => {
    const agent = await agentIn(world());
    await agent.containers.create(specOf());
    agent.endpoints.isReachable = false;
    expect(messageOf(await agent.containers.start("web"))).toBe(
      "Could not attach to network overnet: no manager of the swarm answers",
    );
    expect(agent.released.at(-1)).toHaveLength(1);
    agent.endpoints.isReachable = true;
    await expect.poll(() => agent.released.at(-1)).toEqual([]);
  });
});

describe("the next agent", () => {
  test("has what runs, at its place, and hears of its end", async () => {
    const outside = world();
    const first = await agentIn(outside);
    const { id } = orThrow(await first.containers.create(specOf()));
    await first.containers.start(id);
    const second = await agentIn(outside, 2);
    expect(second.containers.get(id)).toMatchObject({ state: "running", pid: 100 });
    expect([...second.placing.owned.values()]).toEqual([
      { sandbox: { kind: "own", id }, interfaceName: "eth0" },
    ]);
    const ended = second.containers.wait(id, "not-running", never);
    outside.runtime.processes.get(id)?.end(6);
    expect(await ended).toEqual({ exitCode: 6, error: "" });
    expect(outside.endpoints.given.size).toBe(0);
  });

  test("finds no trace of any moment in which the one before was killed", async () => {
    const outside = world();
    const first = await agentIn(outside);
    const { id } = orThrow(await first.containers.create(specOf()));
    await first.containers.start(id);
    await first.containers.stop(id, undefined);
    const moments = [...outside.disk.history];
    for (const record of moments) {
      const later = { ...world(), endpoints: outside.endpoints };
      later.disk.files.set(id, JSON.stringify(record));
      for (const { id: endpointId } of record.endpoints) {
        await later.endpoints.attach({
          endpointId,
          network: "overnet",
          name: "",
          aliases: [],
          ownerId: id,
          hostname: "",
          ipv4: "",
          ipv6: "",
        });
      }
      const next = await agentIn(later, 3);
      expect(orThrow(next.containers.get(id)).state).not.toBe("running");
      expect(next.endpoints.given.size).toBe(0);
      expect(next.placing.owned.size).toBe(0);
      expect(await next.containers.start(id)).toBeUndefined();
      expect(await next.containers.remove(id, true)).toBeUndefined();
      expect(next.endpoints.given.size).toBe(0);
    }
  });

  test("finishes a removal", async () => {
    const outside = world();
    const first = await agentIn(outside);
    const { id } = orThrow(await first.containers.create(specOf()));
    await first.containers.remove(id, false);
    const removing = outside.disk.history.at(-1);
    outside.disk.files.set(id, JSON.stringify(removing));
    const second = await agentIn(outside, 2);
    await expect.poll(() => second.containers.list()).toEqual([]);
    expect(outside.disk.files.size).toBe(0);
  });
});

test("when the node leaves the swarm containers run on without their networks, and say so", async () => {
  const agent = await agentIn(world());
  await agent.containers.create(specOf());
  await agent.containers.start("web");
  await agent.containers.networksGone();
  expect(agent.placing.owned.size).toBe(0);
  expect(agent.containers.get("web")).toMatchObject({
    state: "running",
    endpoints: [],
    error: "its networks are gone: this node left the swarm",
  });
});

test("an endpoint that the swarm took away is said, one that it has not told of yet is not", async () => {
  const agent = await agentIn(world());
  await agent.containers.create(specOf());
  await agent.containers.start("web");
  await agent.containers.told(1, new Set());
  expect(orThrow(agent.containers.get("web")).error).toBe("");
  await agent.containers.told(2, new Set());
  expect(orThrow(agent.containers.get("web")).error).toContain("no longer knows its address");
});
