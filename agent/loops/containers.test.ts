import { describe, expect, test } from "vitest";
import { systemClock } from "../../common/clock.js";
import { Fault, isRefusal, orThrow, type Refusal, refuse } from "../../common/fault.js";
import { silentLogger } from "../../common/log.js";
import { seededRandom } from "../../common/random.js";
import { DEFAULT_TIMING } from "../../common/timing.js";
import {
  containerParts,
  FakeImages,
  FakeLocal,
  MemoryVolumeDisk,
} from "../../test/fakes/containers.js";
import { EventLog, FakeEndpoints, FakePlacing } from "../../test/fakes/placing.js";
import { FakeRuntime, MemoryContainerDisk } from "../../test/fakes/runtime.js";
import type { ContainerSpec } from "../seams.js";
import { EMPTY_MOUNT, EMPTY_SPEC } from "../task/container-spec.js";
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
  const images = new FakeImages();
  const containerd = new FakeRuntime();
  const volumeDisk = new MemoryVolumeDisk();
  return { endpoints, runtime, containerd, disk, released, images, volumeDisk };
}

async function agentIn(
  outside: ReturnType<typeof world> & { readonly local?: FakeLocal },
  seed = 1,
) {
  const { endpoints, disk, released } = outside;
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
  const common = { endpoints, placing, releases, disk, events, log, random };
  const tools = { ...common, ...containerParts(outside, events), clock: systemClock };
  const containers: ContainerLoop = new ContainerLoop(tools);
  await releases.restore();
  await containers.restore();
  return { containers, placing, events, releases, volumes: tools.volumes, ...outside };
}

function specOf(more: Partial<ContainerSpec> = {}): ContainerSpec {
  return {
    ...EMPTY_SPEC,
    name: "web",
    image: "process",
    runtime: "process",
    command: ["sleep", "1"],
    networkMode: "networks",
    endpoints: [{ network: "overnet", aliases: [], ipv4: "", ipv6: "" }],
    ...more,
  };
}

const WISH = { network: "overnet", aliases: [], ipv4: "", ipv6: "" };

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

  test("one that shares another's network is in its sandbox, with its names, and leaves it alone", async () => {
    const agent = await agentIn(world());
    const { id } = orThrow(await agent.containers.create(specOf()));
    const wish = { networkMode: "container", networkContainer: id, endpoints: [] } as const;
    const other = orThrow(await agent.containers.create(specOf({ name: "side", ...wish })));
    expect(messageOf(await agent.containers.start("side"))).toBe(
      `cannot join network of a non running container: ${id}`,
    );
    await agent.containers.start("web");
    expect(await agent.containers.start("side")).toBeUndefined();
    const [first, second] = [id, other.id].map((each) => agent.runtime.processes.get(each));
    expect(second?.launch.hostname).toBe(first?.launch.hostname);
    expect(second?.surroundings).toMatchObject({
      netns: first?.surroundings?.netns,
      hosts: first?.surroundings?.hosts,
    });
    expect(agent.placing.sandboxes.size).toBe(1);
    expect(messageOf(await agent.containers.connect("side", WISH))).toMatch(/^container sharing/);
    await agent.containers.kill("side", "KILL");
    await agent.containers.wait("side", "not-running", never);
    expect(agent.placing.sandboxes.size).toBe(1);
    expect(agent.placing.owned.size).toBe(1);
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

  test("the signal that was asked for stands for its own, once", async () => {
    const agent = await agentIn(world());
    const { id } = orThrow(await agent.containers.create(specOf()));
    await agent.containers.start("web");
    const process = agent.runtime.processes.get(id);
    process?.endsOn.add(2);
    expect(messageOf(await agent.containers.stop("web", 10, "SIGNONE"))).toMatch(/SIGNONE/);
    await agent.containers.restart("web", 10, "SIGINT");
    expect(process?.signals).toEqual([2]);
    expect(agent.containers.get("web")).toMatchObject({ state: "running" });
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

describe("its runtime does not answer", () => {
  test("a start ends as failed, frees its places, and what the runtime has goes when it answers", async () => {
    const agent = await agentIn(world());
    const { id } = orThrow(await agent.containers.create(specOf({ taskId: "t1" })));
    agent.runtime.isAway = true;
    expect(messageOf(await agent.containers.start(id))).toMatch(/^containerd does not answer/);
    expect(agent.containers.get(id)).toMatchObject({ state: "created" });
    expect(agent.endpoints.given.size + agent.placing.owned.size).toBe(0);
    expect(agent.placing.sandboxes.size).toBe(0);
    expect(agent.runtime.processes.size).toBe(1);
    agent.runtime.isAway = false;
    await expect.poll(() => agent.runtime.processes.size).toBe(0);
    expect(await agent.containers.start(id)).toBeUndefined();
  });

  test("a removal meanwhile says so, and takes all of it when it is asked for again", async () => {
    const agent = await agentIn(world());
    const { id } = orThrow(await agent.containers.create(specOf()));
    agent.runtime.isAway = true;
    await agent.containers.start(id);
    await expect(agent.containers.remove(id, true)).rejects.toThrow("CONTAINERD");
    agent.runtime.isAway = false;
    expect(await agent.containers.remove(id, true)).toBeUndefined();
    expect(agent.containers.list()).toEqual([]);
    expect(agent.disk.files.size + agent.runtime.processes.size).toBe(0);
  });

  test("what was made of a container of which no more came goes when it answers", async () => {
    const agent = await agentIn(world());
    agent.containerd.isAway = true;
    const spec = specOf({ image: "alpine", runtime: "containerd" });
    await expect(agent.containers.create(spec)).rejects.toThrow("CONTAINERD");
    expect(agent.containerd.made.size).toBe(1);
    expect(agent.containers.list()).toMatchObject([{ state: "removing" }]);
    agent.containerd.isAway = false;
    await expect.poll(() => agent.containers.list()).toEqual([]);
    expect(agent.containerd.made.size + agent.disk.files.size).toBe(0);
    expect(isRefusal(await agent.containers.create(spec))).toBe(false);
  });

  test("with --rm it goes by itself when the runtime answers", async () => {
    const agent = await agentIn(world());
    const { id } = orThrow(await agent.containers.create(specOf({ autoRemove: true })));
    agent.runtime.isAway = true;
    await agent.containers.start(id);
    agent.runtime.isAway = false;
    await expect.poll(() => agent.containers.list()).toEqual([]);
    expect(agent.disk.files.size + agent.runtime.processes.size).toBe(0);
  });

  test("the next agent removes what the one before could not", async () => {
    const outside = world();
    const first = await agentIn(outside);
    const { id } = orThrow(await first.containers.create(specOf()));
    outside.runtime.isAway = true;
    await first.containers.start(id);
    await first.containers.close();
    outside.runtime.isAway = false;
    await agentIn(outside, 2);
    expect(outside.runtime.processes.size).toBe(0);
  });

  test("what an earlier agent started can be removed before anybody knows how it fares", async () => {
    const outside = world();
    const first = await agentIn(outside);
    const { id } = orThrow(await first.containers.create(specOf()));
    await first.containers.start(id);
    const moment = outside.disk.history.find(({ phase }) => phase === "starting");
    outside.disk.files.set(id, JSON.stringify(moment));
    outside.runtime.isAway = true;
    const next = await agentIn(outside, 2);
    outside.runtime.isAway = false;
    expect(await next.containers.remove(id, true)).toBeUndefined();
    expect(next.placing.sandboxes.size + next.placing.owned.size).toBe(0);
    expect(outside.disk.files.size + outside.runtime.processes.size).toBe(0);
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

describe("of an image", () => {
  const ofImage = (more: Partial<ContainerSpec> = {}) =>
    specOf({ image: "alpine", runtime: "containerd", command: [], ...more });

  test("one that is not there is said with its tag, so that the CLI pulls it", async () => {
    const { containers } = await agentIn(world());
    const answer = await containers.create(ofImage({ image: "nosuch" }));
    expect(answer).toMatchObject({ code: "not-found", message: "No such image: nosuch:latest" });
    expect(containers.list()).toEqual([]);
  });

  test("a container has what the image says, and its id", async () => {
    const agent = await agentIn(world());
    const made = orThrow(await agent.containers.create(ofImage()));
    expect(made.spec.command).toEqual(["sh"]);
    expect(made.imageId).toMatch(/^sha256:/);
    expect(await agent.containers.start(made.id)).toBeUndefined();
    expect(agent.containerd.processes.size).toBe(1);
    expect(agent.runtime.processes.size).toBe(0);
  });

  test("files are given to one life only", async () => {
    const agent = await agentIn(world());
    const { id } = orThrow(await agent.containers.create(ofImage()));
    const file = { target: "/run/secrets/s", uid: 0, gid: 0, mode: 0o444, secret: true };
    await agent.containers.start(id, [{ ...file, data: Buffer.from("x") }]);
    expect(agent.containerd.processes.get(id)?.surroundings?.files).toHaveLength(1);
    await agent.containers.restart(id, 1);
    expect(agent.containerd.processes.get(id)?.surroundings?.files).toEqual([]);
    expect([...agent.disk.files.values()].join()).not.toContain("secrets");
  });

  test("a task's address is what the swarm assigned, and is not given back from here", async () => {
    const agent = await agentIn(world());
    await agent.endpoints.attach({
      ...{ endpointId: "e9", network: "overnet", name: "", aliases: [], ownerId: "" },
      ...{ hostname: "", ipv4: "", ipv6: "" },
    });
    const wish = { network: "overnet", aliases: [], ipv4: "", ipv6: "", assigned: "e9" };
    const spec = ofImage({ taskId: "t1", endpoints: [wish] });
    const { id } = orThrow(await agent.containers.create(spec));
    expect(await agent.containers.start(id)).toBeUndefined();
    expect([...agent.placing.owned.keys()]).toEqual(["e9"]);
    await agent.containers.stop(id, 1);
    expect(agent.endpoints.given.has("e9")).toBe(true);
    expect(agent.placing.owned.size).toBe(0);
  });
});

describe("volumes", () => {
  const mount = { ...EMPTY_MOUNT, kind: "volume" as const, target: "/data" };
  const ofVolumes = (...mounts: ContainerSpec["mounts"]) =>
    specOf({ image: "alpine", runtime: "containerd", mounts });

  test("a new one begins with what the image has there; one that has something stays", async () => {
    const agent = await agentIn(world());
    agent.containerd.files.set("/data", "of the image");
    orThrow(await agent.containers.create(ofVolumes({ ...mount, source: "db" })));
    expect(agent.volumeDisk.content.get("db")).toBe("of the image");
    await agent.containers.remove("web", false, true);
    agent.containerd.files.set("/data", "newer");
    orThrow(await agent.containers.create(ofVolumes({ ...mount, source: "db" })));
    expect(agent.volumeDisk.content.get("db")).toBe("of the image");
  });

  test("nameless ones go with rm -v, named ones stay, and none goes while it is used", async () => {
    const agent = await agentIn(world());
    const spec = ofVolumes(mount, { ...mount, source: "db", target: "/db" });
    const { id, mountPoints } = orThrow(await agent.containers.create(spec));
    expect(mountPoints.map(({ name }) => name.length)).toEqual([64, 2]);
    expect(messageOf(await agent.volumes.remove("db", false))).toBe(
      `remove db: volume is in use - [${id}]`,
    );
    await agent.containers.remove(id, false, true);
    expect(agent.volumes.list().map(({ name }) => name)).toEqual(["db"]);
    expect(await agent.volumes.remove("db", false)).toBeUndefined();
  });

  test("a folder that is not there is refused for --mount, and made for -v", async () => {
    const agent = await agentIn(world());
    const bind = { ...mount, kind: "bind" as const, source: "/gone" };
    expect(await agent.containers.create(ofVolumes(bind))).toMatchObject({
      message: 'invalid mount config for type "bind": bind source path does not exist: /gone',
    });
    expect(agent.disk.files.size).toBe(0);
    orThrow(await agent.containers.create(ofVolumes({ ...bind, createSource: true })));
    expect(agent.volumeDisk.sources.has("/gone")).toBe(true);
  });

  test("a volume with options is mounted while somebody runs with it", async () => {
    const agent = await agentIn(world());
    const options = { type: "tmpfs", device: "tmpfs", o: "size=1m" };
    orThrow(await agent.volumes.create({ name: "fast", driver: "", labels: {}, options }));
    const { id } = orThrow(await agent.containers.create(ofVolumes({ ...mount, source: "fast" })));
    await agent.containers.start(id);
    expect([...agent.volumeDisk.mounted]).toEqual(["fast"]);
    await agent.containers.stop(id, 1);
    expect([...agent.volumeDisk.mounted]).toEqual([]);
    const told = agent.events.events.filter(({ action }) => action.endsWith("mount"));
    const shared = { driver: "local", container: id };
    const more = { destination: "/data", propagation: "", "read/write": "true" };
    expect(told.map(({ type, action, attributes }) => [type, action, attributes])).toEqual([
      ["volume", "mount", { ...shared, ...more }],
      ["volume", "unmount", shared],
    ]);
  });
});

describe("this node's own networks", () => {
  const onBridge = { network: "bridge", aliases: [], ipv4: "", ipv6: "" };
  const port = { containerPort: 80, protocol: "tcp" as const, hostIp: "", hostPort: 0 };
  const withLocal = () => ({ ...world(), local: new FakeLocal() });

  test("a container on the bridge has its ports and its way out there", async () => {
    const outside = withLocal();
    const agent = await agentIn(outside);
    const spec = specOf({ endpoints: [onBridge], ports: [port] });
    const { id } = orThrow(await agent.containers.create(spec));
    expect(await agent.containers.start(id)).toBeUndefined();
    expect([...outside.local.joined.values()]).toMatchObject([
      { network: "bridge", gateway: true, interfaceName: "eth0" },
    ]);
    expect(orThrow(agent.containers.get(id)).ports).toEqual([{ ...port, hostPort: 32768 }]);
    await agentIn(outside, 2);
    expect([...outside.local.joined.values()]).toMatchObject([{ ports: [{ hostPort: 32768 }] }]);
  });

  test("one on the swarm's networks goes out by docker_gwbridge, which is not shown", async () => {
    const outside = withLocal();
    const agent = await agentIn(outside);
    const { id } = orThrow(await agent.containers.create(specOf({ ports: [port] })));
    await agent.containers.start(id);
    expect([...outside.local.joined.values()]).toMatchObject([
      { network: "docker_gwbridge", gateway: true, interfaceName: "eth1" },
    ]);
    const shown = orThrow(agent.containers.get(id));
    expect(shown.endpoints).toHaveLength(1);
    expect(shown.ports).toHaveLength(1);
    await agent.containers.stop(id, 1);
    expect(outside.local.joined.size).toBe(0);
    expect(agent.released.flat()).toHaveLength(1);
  });

  test("a port that is taken undoes the start", async () => {
    const outside = withLocal();
    const agent = await agentIn(outside);
    const says = "Bind for 0.0.0.0:80 failed: port is already allocated";
    outside.local.refusal = refuse("unavailable", says);
    const { id } = orThrow(await agent.containers.create(specOf({ endpoints: [onBridge] })));
    expect(messageOf(await agent.containers.start(id))).toBe(says);
    expect(agent.placing.sandboxes.size).toBe(0);
  });

  test("a running container comes onto another network, and off it", async () => {
    const outside = withLocal();
    const agent = await agentIn(outside);
    const { id } = orThrow(await agent.containers.create(specOf()));
    await agent.containers.start(id);
    expect(await agent.containers.connect(id, onBridge)).toBeUndefined();
    expect(messageOf(await agent.containers.connect(id, onBridge))).toBe(
      "endpoint with name web already exists in network bridge",
    );
    expect(orThrow(agent.containers.get(id)).endpoints).toHaveLength(2);
    expect(await agent.containers.disconnect(id, "bridge", false)).toBeUndefined();
    expect(messageOf(await agent.containers.disconnect(id, "bridge", false))).toBe(
      `container ${id} is not connected to network bridge`,
    );
    expect(orThrow(agent.containers.get(id)).endpoints).toHaveLength(1);
    expect(agent.events.actions().filter((each) => each.startsWith("network"))).toEqual([
      "network connect",
      "network connect",
      "network connect",
      "network disconnect",
    ]);
  });
});

describe("restart rules", () => {
  const always = { name: "always", maximumRetries: 0 } as const;
  const twice = { name: "on-failure", maximumRetries: 2 } as const;
  const crash = (agent: Awaited<ReturnType<typeof agentIn>>, id: string) =>
    agent.runtime.processes.get(id)?.end(1);
  const state = (agent: Awaited<ReturnType<typeof agentIn>>, id: string) =>
    orThrow(agent.containers.get(id)).state;

  test("what ended is started again, as often as the rule says", async () => {
    const agent = await agentIn(world());
    const { id } = orThrow(await agent.containers.create(specOf({ restart: twice })));
    await agent.containers.start(id);
    const over = agent.containers.wait(id, "not-running", never);
    for (let i = 0; i < 3; i++) {
      crash(agent, id);
      await expect.poll(() => state(agent, id)).toBe(i < 2 ? "running" : "exited");
    }
    expect(await over).toEqual({ exitCode: 1, error: "" });
    expect(orThrow(agent.containers.get(id)).restartCount).toBe(2);
  });

  test("between two lives it is restarting, and stopping it ends that", async () => {
    const agent = await agentIn(world());
    const { id } = orThrow(await agent.containers.create(specOf({ restart: always })));
    await agent.containers.start(id);
    crash(agent, id);
    await expect.poll(() => state(agent, id)).toBe("restarting");
    expect(messageOf(await agent.containers.remove(id, false))).toContain(
      "You cannot remove a restarting container",
    );
    await agent.containers.stop(id, 1);
    expect(state(agent, id)).toBe("exited");
  });

  test("killing what is between two lives ends that too", async () => {
    const agent = await agentIn(world());
    const { id } = orThrow(await agent.containers.create(specOf({ restart: always })));
    await agent.containers.start(id);
    crash(agent, id);
    await expect.poll(() => state(agent, id)).toBe("restarting");
    expect(await agent.containers.kill(id, "SIGKILL")).toBeUndefined();
    expect(state(agent, id)).toBe("exited");
  });

  test('what a person stopped stays so, until the agent\'s next start if it is "always"', async () => {
    const outside = world();
    const agent = await agentIn(outside);
    const unless = { name: "unless-stopped", maximumRetries: 0 } as const;
    const a = orThrow(await agent.containers.create(specOf({ name: "aa", restart: always })));
    const b = orThrow(await agent.containers.create(specOf({ name: "bb", restart: unless })));
    for (const { id } of [a, b]) {
      await agent.containers.start(id);
      await agent.containers.stop(id, 1);
      expect(state(agent, id)).toBe("exited");
    }
    const next = await agentIn(outside, 2);
    await expect.poll(() => state(next, a.id)).toBe("running");
    expect(state(next, b.id)).toBe("exited");
  });

  test("a restart that fails is tried again", async () => {
    const agent = await agentIn(world());
    const { id } = orThrow(await agent.containers.create(specOf({ restart: always })));
    await agent.containers.start(id);
    agent.endpoints.refusal = refuse("unavailable", "no manager");
    crash(agent, id);
    await expect.poll(() => orThrow(agent.containers.get(id)).error).toContain("no manager");
    agent.endpoints.refusal = undefined;
    await expect.poll(() => state(agent, id)).toBe("running");
  });

  test("a task is never started again from here", async () => {
    const agent = await agentIn(world());
    const spec = specOf({ restart: always, taskId: "t1" });
    const { id } = orThrow(await agent.containers.create(spec));
    await agent.containers.start(id);
    const ended = agent.containers.wait(id, "not-running", never);
    crash(agent, id);
    await ended;
    expect(state(agent, id)).toBe("exited");
  });
});

test("health: a failing probe makes it unhealthy, and that is an event", async () => {
  const agent = await agentIn(world());
  const none = { timeoutMs: 1_000, startPeriodMs: 0, startIntervalMs: 0 };
  const healthCheck = { test: ["CMD", "ok"], intervalMs: 1, retries: 2, ...none };
  const { id } = orThrow(await agent.containers.create(specOf({ healthCheck })));
  agent.runtime.execExit = 1;
  await agent.containers.start(id);
  await expect.poll(() => agent.events.actions()).toContain("container health_status: unhealthy");
  expect(orThrow(agent.containers.get(id)).health).toMatchObject({ status: "unhealthy" });
  agent.runtime.execExit = 0;
  await expect.poll(() => agent.events.actions()).toContain("container health_status: healthy");
  await agent.containers.stop(id, 1);
  expect(orThrow(agent.containers.get(id)).health).toBeUndefined();
});

test("paused: it says so, takes no exec, is stopped all the same, and is still paused for the next agent", async () => {
  const outside = world();
  const agent = await agentIn(outside);
  const { id } = orThrow(await agent.containers.create(specOf()));
  await agent.containers.start(id);
  expect(await agent.containers.pause(id)).toBeUndefined();
  expect(messageOf(await agent.containers.pause(id))).toBe(`Container ${id} is already paused`);
  const next = await agentIn(outside, 2);
  expect(orThrow(next.containers.get(id)).state).toBe("paused");
  expect(messageOf(await next.containers.unpause(id))).toBeUndefined();
  expect(messageOf(await next.containers.unpause(id))).toBe(`Container ${id} is not paused`);
  await next.containers.pause(id);
  await next.containers.stop(id, 1);
  expect(orThrow(next.containers.get(id)).state).toBe("exited");
});

test("top shows the container's processes only", async () => {
  const agent = await agentIn(world());
  const { id } = orThrow(await agent.containers.create(specOf()));
  expect(messageOf((await agent.containers.top(id, [])) as Refusal)).toBe(
    `Container ${id} is not running`,
  );
  await agent.containers.start(id);
  expect(await agent.containers.top(id, ["-ef"])).toMatchObject({ rows: [["100", "sleep 1"]] });
});
