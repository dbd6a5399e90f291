// Clients that nobody here wrote, at the newest version that they speak: the docker CLI and dockerode.
import Docker from "dockerode";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ApiHost, type ApiLab, apiLab } from "./api-lab.js";

let lab: ApiLab;
let h1: ApiHost;
let docker: Docker;
beforeAll(async () => {
  lab = await apiLab();
  h1 = lab.hosts.h1;
  docker = new Docker({ socketPath: h1.socketPath, version: "v1.50" });
  h1.node.containers.outputs.set("greet", ["hello\n", "oh\n", 0]);
  h1.node.containers.outputs.set("fail", ["", "no\n", 3]);
  await docker.swarmInit({ ListenAddr: "0.0.0.0:2377", AdvertiseAddr: "192.168.133.1" });
  await docker.createNetwork({ Name: "overnet", Driver: "overlay", Attachable: true });
});
afterAll(async () => {
  await lab.close();
});

describe("dockerode", () => {
  test("sees swarm, nodes and networks", async () => {
    expect(await docker.ping()).toEqual(Buffer.from("OK"));
    expect(await docker.version()).toMatchObject({ ApiVersion: "1.50", MinAPIVersion: "1.40" });
    const [node] = await docker.listNodes();
    expect(node).toMatchObject({ Spec: { Role: "manager" }, ManagerStatus: { Leader: true } });
    const names = (await docker.listNetworks()).map(({ Name }) => Name);
    expect(names.sort()).toEqual([
      "bridge",
      "docker_gwbridge",
      "host",
      "ingress",
      "none",
      "overnet",
    ]);
    const filtered = await docker.listNetworks({
      filters: { driver: ["overlay"], name: ["over"] },
    });
    expect(filtered.map(({ Name }) => Name)).toEqual(["overnet"]);
    expect(await docker.getNetwork("overnet").inspect()).toMatchObject({
      Scope: "swarm",
      IPAM: { Config: [{ Subnet: "10.0.1.0/24", Gateway: "10.0.1.1" }] },
      Options: { "com.docker.network.driver.overlay.vxlanid_list": "4097" },
    });
  });

  test("changes a node by its version, and is refused with an old one", async () => {
    const node = (await docker.listNodes())[0];
    const Spec = { ...node?.Spec, Labels: { zone: "mars" } };
    const handle = docker.getNode(String(node?.ID));
    await handle.update({ version: node?.Version?.Index, ...Spec });
    expect((await handle.inspect()).Spec.Labels).toEqual({ zone: "mars" });
    await expect(handle.update({ version: 1, ...Spec })).rejects.toMatchObject({ statusCode: 500 });
  });

  test("creates, attaches to, starts and waits for a container", async () => {
    const container = await docker.createContainer({
      name: "d1",
      Image: "process",
      Cmd: ["greet"],
      HostConfig: { NetworkMode: "overnet" },
    });
    const stream = await container.attach({ stream: true, stdout: true, stderr: true });
    const printed = gathered(docker, stream);
    const ended = container.wait({ condition: "next-exit" });
    await container.start();
    expect(await ended).toEqual({ Error: null, StatusCode: 0 });
    expect(await printed).toEqual({ stdout: "hello\n", stderr: "oh\n" });
    const logs = await container.logs({ stdout: true, stderr: true, follow: false });
    expect(logs.toString()).toContain("hello");
    expect(await container.inspect()).toMatchObject({
      Name: "/d1",
      State: { Status: "exited", ExitCode: 0 },
    });
    await container.remove();
    await expect(container.inspect()).rejects.toMatchObject({ statusCode: 404 });
  });

  test("runs a command beside a container, with and without the connection", async () => {
    const container = await docker.createContainer({
      name: "d2",
      Image: "process",
      Cmd: ["sleep", "1d"],
    });
    await container.start();
    for (const hijack of [true, false]) {
      const exec = await container.exec({ Cmd: ["greet"], AttachStdout: true, AttachStderr: true });
      const stream = await exec.start({ hijack, stdin: false });
      expect(await gathered(docker, stream)).toEqual({ stdout: "hello\n", stderr: "oh\n" });
      expect(await exec.inspect()).toMatchObject({ Running: false, ExitCode: 0 });
    }
    const cat = await container.exec({ Cmd: ["cat"], AttachStdin: true, AttachStdout: true });
    const stream = await cat.start({ hijack: true, stdin: true });
    const printed = gathered(docker, stream);
    stream.end("typed\n");
    expect((await printed).stdout).toBe("typed\n");
    await container.remove({ force: true });
  });

  test("follows events until it goes away", async () => {
    const stream = await docker.getEvents({ filters: { type: ["network"], event: ["create"] } });
    const first = new Promise<string>((resolve) =>
      stream.once("data", (data) => resolve(String(data))),
    );
    const network = await docker.createNetwork({ Name: "seen", Driver: "overlay" });
    const event = await first;
    expect(JSON.parse(event)).toMatchObject({
      Type: "network",
      Action: "create",
      Actor: { ID: network.id, Attributes: { name: "seen" } },
      scope: "swarm",
    });
    expect(event).toMatch(/"timeNano":\d{13}123456\}/);
    (stream as unknown as { destroy(): void }).destroy();
    await network.remove();
  });
});

async function gathered(
  client: Docker,
  stream: NodeJS.ReadableStream,
): Promise<{ stdout: string; stderr: string }> {
  const { PassThrough } = await import("node:stream");
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  client.modem.demuxStream(stream, stdout, stderr);
  const said = { stdout: "", stderr: "" };
  stdout.on("data", (chunk) => (said.stdout += String(chunk)));
  stderr.on("data", (chunk) => (said.stderr += String(chunk)));
  await new Promise((resolve) => {
    stream.on("end", resolve);
    stream.on("close", resolve);
  });
  await new Promise(setImmediate);
  return said;
}

describe("the docker CLI at 1.50", () => {
  const cases = [
    [
      "a process's output and exit code",
      "run --rm --network overnet process fail",
      "",
      3,
      "",
      "no\n",
    ],
    [
      "standard input to its end",
      "run --rm -i --network overnet process cat",
      "abc\n",
      0,
      "abc\n",
      "",
    ],
    ["the default network", "run --rm process greet", "", 0, "hello\n", "oh\n"],
    ["host mode", "run --rm --network host process greet", "", 0, "hello\n", "oh\n"],
    [
      "--runtime process",
      "run --rm --runtime process --network none any greet",
      "",
      0,
      "hello\n",
      /Image "any" is not used/,
    ],
    [
      "privileged mode, refused",
      "run --rm --privileged --network overnet alpine true",
      "",
      125,
      "",
      /docker: Error response from daemon: privileged mode \(HostConfig.Privileged\) is not part of this release/,
    ],
    [
      "a published port",
      "run --rm -p 80:80 --network overnet process greet",
      "",
      0,
      "hello\n",
      "oh\n",
    ],
    [
      "a pull where there is no containerd",
      "pull alpine",
      "",
      1,
      /Using default tag/,
      /there is no containerd on this node, so there are no images: install it/,
    ],
    [
      "a service",
      "service create --detach --name one alpine",
      "",
      0,
      /^[0-9a-z]{25}\n$/,
      /image alpine:latest could not be accessed on a registry/,
    ],
    ["a missing container", "start nosuch", "", 1, "", /No such container: nosuch/],
  ] as const;
  for (const [name, command, stdin, exitCode, stdout, stderr] of cases) {
    test(name, async () => {
      const ran = await h1.docker(command.split(" "), { stdin });
      expect(ran.exitCode, ran.stderr).toBe(exitCode);
      expect(ran.stdout).toEqual(
        typeof stdout === "string" ? stdout : expect.stringMatching(stdout),
      );
      expect(ran.stderr).toEqual(
        typeof stderr === "string" ? stderr : expect.stringMatching(stderr),
      );
    });
  }

  test("a container's life: run, ps, exec, logs, rename, restart, kill, prune", async () => {
    const say = async (command: string) => {
      const ran = await h1.docker(command.split(" "));
      expect(ran.exitCode, `${command}: ${ran.stderr}`).toBe(0);
      return ran.stdout;
    };
    await say(
      "run -d --name c1 --label tier=db --network overnet --network-alias web process sleep 1d",
    );
    expect(await say("ps --format {{.Names}}:{{.Image}}:{{.Command}}:{{.State}}")).toBe(
      'c1:process:"sleep 1d":running\n',
    );
    expect(await say("ps --filter label=tier=db --filter network=overnet -q --no-trunc")).toMatch(
      /^[0-9a-f]{64}\n$/,
    );
    expect(await say("exec c1 greet")).toBe("hello\n");
    expect(await say("inspect -f {{.NetworkSettings.Networks.overnet.IPAddress}} c1")).toMatch(
      /^10\.0\.1\.\d+\n$/,
    );
    expect(await say("logs c1")).toBe("");
    await say("rename c1 c2");
    await say("restart c2");
    await say("kill c2");
    expect(await say("ps -a --filter name=c2 --format {{.Status}}")).toMatch(/^Exited \(137\) /);
    expect(await say("wait c2")).toBe("137\n");
    expect(await say("container prune -f")).toContain("Total reclaimed space: 12B");
    expect(await say("ps -aq")).toBe("");
  });

  test("events of a window end by themselves", async () => {
    const { stdout, exitCode } = await h1.docker([
      "events",
      "--since",
      "10m",
      "--until",
      "1s",
      "--filter",
      "type=node",
    ]);
    expect([exitCode, stdout]).toEqual([0, expect.any(String)]);
  });
});

describe("/skein/v1", () => {
  test("attachments are made, listed and taken away", async () => {
    const made = await h1.http("POST", "/skein/v1/attachments", {
      Network: "overnet",
      Netns: "build",
      Name: "b1",
    });
    expect([made.status, made.json]).toEqual([
      201,
      {
        ID: expect.stringMatching(/^[0-9a-f]{64}$/),
        Name: "b1",
        Network: "overnet",
        NetworkID: expect.stringMatching(/^[0-9a-z]{25}$/),
        Netns: "build",
        Interface: "skein0",
        IPv4Address: expect.stringMatching(/^10\.0\.1\.\d+\/24$/),
        IPv6Address: "",
        MacAddress: expect.stringMatching(/^02:42:/),
        Created: expect.any(String),
        Problem: "",
      },
    ]);
    expect((await h1.http("GET", "/skein/v1/attachments")).json).toEqual([made.json]);
    const shown = await docker.getNetwork("overnet").inspect();
    expect(Object.values(shown.Containers ?? {})).toMatchObject([{ Name: "b1" }]);
    const ends = await h1.http("GET", "/skein/v1/endpoints?network=overnet");
    expect(ends.json).toMatchObject([{ Name: "b1", Network: "overnet", Kind: "attachment" }]);
    expect((await h1.http("DELETE", "/skein/v1/attachments/b1")).status).toBe(204);
    expect((await h1.http("DELETE", "/skein/v1/attachments/b1")).status).toBe(404);
    const unfit = await h1.http("POST", "/skein/v1/attachments", { Network: "ingress" });
    expect([unfit.status, unfit.json]).toEqual([
      409,
      { message: "network ingress not manually attachable" },
    ]);
  });

  test("ping tells what is measured, then each result", async () => {
    const swarm = h1.node.swarm;
    if (!swarm) throw new Error("there is a swarm");
    const result = {
      fromNodeId: "n1",
      fromEndpointId: "",
      toNodeId: "n2",
      toEndpointId: "e2",
      sent: 3,
      received: 2,
      rttMinUs: 50,
      rttAvgUs: 60.5,
      rttMaxUs: 70,
      toAddress: "10.0.1.3",
      error: "",
    };
    swarm.probeResults = [result, { ...result, received: 0, error: "no answer" }];
    const { text, status } = await h1.http("POST", "/skein/v1/networks/overnet/ping", { Count: 3 });
    const lines = text
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as unknown);
    expect(status).toBe(200);
    expect(lines).toMatchObject([
      {
        Network: { Name: "overnet" },
        Nodes: [{ Hostname: "h1", Addr: "192.168.133.1" }],
        Endpoints: [],
      },
      { FromNode: "n1", ToEndpoint: "e2", Sent: 3, Received: 2, RttAvgUs: 60.5, Error: "" },
      { Received: 0, Error: "no answer" },
    ]);
    const wrong = await h1.http("POST", "/skein/v1/networks/overnet/ping", { Count: 0 });
    expect(wrong.json).toEqual({ message: "Count 0 is not between 1 and 100" });
  });

  test("trouble of the machine ends what info says, to docker as well", async () => {
    const sentence = "WARNING: The kernel's table of connections is nearly full";
    h1.node.trouble = [sentence];
    expect((await h1.docker(["info"])).stderr).toContain(sentence);
    h1.node.trouble = [];
    expect((await h1.docker(["info"])).stderr).not.toContain(sentence);
  });

  test("raft and metrics", async () => {
    expect((await h1.http("GET", "/skein/v1/raft")).json).toMatchObject({
      State: "running",
      Members: [{ RaftID: 1, Addr: "192.168.133.1:2377", Learner: false }],
    });
    expect((await lab.hosts.h3.http("GET", "/skein/v1/raft")).status).toBe(503);
    const { text } = await h1.http("GET", "/skein/v1/metrics");
    expect(text).toMatch(/skein_fake 1\n[\s\S]*skein_api_requests_total\{status="200"\} \d+\n/);
  });
});
