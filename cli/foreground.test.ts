// run, exec, attach, start, logs: streams both ways, signals, keys and exit codes.
import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { describe, test } from "vitest";
import { at, object } from "./json.js";
import { type Custom, FakeAgent, type Heard, type Upgrade } from "./testing/fake-agent.js";
import { type RunOptions, run, TestTerminal } from "./testing/run.js";

function frame(stream: 1 | 2, text: string): Buffer {
  const payload = Buffer.from(text);
  const header = Buffer.alloc(8);
  header[0] = stream;
  header.writeUInt32BE(payload.length, 4);
  return Buffer.concat([header, payload]);
}

interface Scene {
  readonly upgrade?: Upgrade;
  readonly exitCode?: number;
  readonly custom?: Custom;
  readonly tty?: boolean;
}

/** An agent with one container, "c1", that does what the scene says. */
async function withAgent<T>(scene: Scene, body: (agent: FakeAgent) => Promise<T>): Promise<T> {
  const custom: Custom = (heard, response) => {
    if (scene.custom?.(heard, response) === true) return true;
    const json = (status: number, value: unknown) => {
      response.writeHead(status, { "Content-Type": "application/json" });
      response.end(JSON.stringify(value));
      return true;
    };
    const path = heard.path.split("?")[0] ?? "";
    if (path === "/containers/create") return json(201, { Id: "c1", Warnings: [] });
    if (path.endsWith("/wait")) {
      // As the daemon: the head at once, the code when the process is gone.
      response.writeHead(200, { "Content-Type": "application/json" });
      response.flushHeaders();
      ended.then(() => response.end(JSON.stringify({ StatusCode: scene.exitCode ?? 0 })));
      return true;
    }
    if (path.endsWith("/exec")) return json(201, { Id: "e1" });
    if (path === "/exec/e1/json") return json(200, { ExitCode: scene.exitCode ?? 0 });
    if (path.endsWith("/json")) {
      return json(200, {
        Id: "c1",
        State: { Running: true },
        Config: { Tty: scene.tty ?? false, OpenStdin: true },
        HostConfig: { AutoRemove: false },
      });
    }
    response.writeHead(204);
    response.end();
    return true;
  };
  let end: () => void = () => undefined;
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  const agent = await FakeAgent.start({
    custom,
    upgrade: (heard, socket) => {
      socket.on("close", end);
      scene.upgrade?.(heard, socket);
    },
  });
  try {
    return await body(agent);
  } finally {
    await agent.stop();
  }
}

function asked(agent: FakeAgent, path: string): Heard | undefined {
  return agent.heard.find((one) => one.path.startsWith(path));
}

const speak: Upgrade = (_heard, socket) => {
  socket.write(Buffer.concat([frame(1, "out\n"), frame(2, "err\n")]));
  socket.end(frame(1, "more\n"));
};

describe("run", () => {
  test("shows both streams and exits as the command did", async () => {
    await withAgent({ upgrade: speak, exitCode: 7 }, async (agent) => {
      const words = ["run", "--rm", "--network", "overnet", "--", "ping", "-c", "5", "10.0.1.3"];
      const result = await run(words, { socket: agent.socketPath });
      assert.deepEqual(result, { stdout: "out\nmore\n", stderr: "err\n", exit: 7 });
      const paths = agent.heard.map((one) => one.path);
      assert.deepEqual(paths, [
        "/containers/create",
        "/containers/c1/attach?stderr=1&stdout=1&stream=1",
        "/containers/c1/wait?condition=removed",
        "/containers/c1/start",
      ]);
    });
  });

  test("asks for what the flags say", async () => {
    await withAgent({}, async (agent) => {
      const words =
        "run -d --name web --network overnet,ip=10.0.1.9,alias=w --network other --network-alias x -e A=1 -e HERE -e GONE -l k=v -w /tmp -u nobody --hostname h --stop-signal TERM --stop-timeout 3 -- sleep infinity";
      const result = await run(words.split(" "), {
        socket: agent.socketPath,
        env: { HERE: "2" },
      });
      assert.deepEqual(result, { stdout: "c1\n", stderr: "", exit: 0 });
      const create = asked(agent, "/containers/create");
      assert.equal(create?.path, "/containers/create?name=web");
      assert.deepEqual(create?.body, {
        Hostname: "h",
        Domainname: "",
        Volumes: {},
        ExposedPorts: {},
        User: "nobody",
        AttachStdin: false,
        AttachStdout: false,
        AttachStderr: false,
        Tty: false,
        OpenStdin: false,
        StdinOnce: false,
        Env: ["A=1", "HERE=2"],
        Cmd: ["sleep", "infinity"],
        Image: "",
        WorkingDir: "/tmp",
        Labels: { k: "v" },
        StopSignal: "TERM",
        StopTimeout: 3,
        HostConfig: {
          Binds: [],
          Mounts: [],
          Tmpfs: {},
          PortBindings: {},
          PublishAllPorts: false,
          NetworkMode: "overnet",
          AutoRemove: false,
          Runtime: "process",
          RestartPolicy: { Name: "no", MaximumRetryCount: 0 },
          ConsoleSize: [0, 0],
        },
        NetworkingConfig: {
          EndpointsConfig: {
            overnet: { IPAMConfig: { IPv4Address: "10.0.1.9" }, Aliases: ["w", "x"] },
            other: { IPAMConfig: null, Aliases: null },
          },
        },
      });
    });
  });

  test("asks for an image with everything that may be said of it", async () => {
    await withAgent({}, async (agent) => {
      const words =
        "run -d -p 8080:80 -p 127.0.0.1::53/udp -v data:/data -v /a:/b:ro -v /scratch --tmpfs /t:size=1m --mount type=bind,src=/x,dst=/y -m 64m --cpus 0.5 --cap-add NET_RAW --read-only --restart on-failure:3 --health-cmd true --ulimit nofile=8:9 --sysctl net.ipv4.ip_forward=1 --init --entrypoint sh alpine -c id";
      const result = await run(words.split(" "), { socket: agent.socketPath });
      assert.equal(result.stderr, "");
      const body = asked(agent, "/containers/create")?.body as Record<string, unknown>;
      const { HostConfig: host, ...config } = body;
      assert.deepEqual(
        [config["Image"], config["Cmd"], config["Entrypoint"], config["Volumes"]],
        ["alpine", ["-c", "id"], ["sh"], { "/scratch": {} }],
      );
      assert.deepEqual(config["ExposedPorts"], { "80/tcp": {}, "53/udp": {} });
      assert.deepEqual(config["Healthcheck"], { Test: ["CMD-SHELL", "true"] });
      const wanted = {
        Binds: ["data:/data", "/a:/b:ro"],
        Mounts: [{ Type: "bind", Source: "/x", Target: "/y" }],
        Tmpfs: { "/t": "size=1m" },
        PortBindings: {
          "80/tcp": [{ HostIp: "", HostPort: "8080" }],
          "53/udp": [{ HostIp: "127.0.0.1", HostPort: "" }],
        },
        Memory: 67108864,
        NanoCpus: 5e8,
        CapAdd: ["NET_RAW"],
        ReadonlyRootfs: true,
        RestartPolicy: { Name: "on-failure", MaximumRetryCount: 3 },
        Ulimits: [{ Name: "nofile", Soft: 8, Hard: 9 }],
        Sysctls: { "net.ipv4.ip_forward": "1" },
        Init: true,
        Runtime: "",
      };
      const given = Object.fromEntries(
        Object.keys(wanted).map((key) => [key, (host as Record<string, unknown>)[key]]),
      );
      assert.deepEqual(given, wanted);
    });
  });

  test("an image that is not there is pulled, and asked for again", async () => {
    let pulled = false;
    const custom: Custom = (heard, response) => {
      if (heard.path.startsWith("/images/create")) {
        pulled = true;
        response.end(
          `${JSON.stringify({ status: "Pulling from library/alpine", id: "latest" })}\n`,
        );
        return true;
      }
      if (heard.path !== "/containers/create" || pulled) return false;
      response.writeHead(404, { "Content-Type": "application/json" });
      response.end(JSON.stringify({ message: "No such image: alpine:latest" }));
      return true;
    };
    await withAgent({ custom }, async (agent) => {
      const result = await run(["run", "-d", "alpine"], { socket: agent.socketPath });
      assert.equal(
        result.stderr,
        "Unable to find image 'alpine:latest' locally\nlatest: Pulling from library/alpine\n",
      );
      assert.equal(result.stdout, "c1\n");
      const pull = agent.heard.find((one) => one.path.startsWith("/images/create"));
      assert.equal(pull?.path, "/images/create?fromImage=alpine&tag=latest");
    });
  });

  const failures = [
    { reason: "Could not attach to network nosuch: network nosuch not found", exit: 125 },
    { reason: 'exec: "nosuch": executable file not found in $PATH', exit: 127 },
    { reason: "exec /etc/passwd: permission denied", exit: 126 },
  ];
  for (const { reason, exit } of failures) {
    test(`exits ${exit} when the agent says: ${reason}`, async () => {
      const custom: Custom = (heard, response) => {
        if (!heard.path.endsWith("/start")) return false;
        response.writeHead(400, { "Content-Type": "application/json" });
        response.end(JSON.stringify({ message: reason }));
        return true;
      };
      await withAgent({ custom }, async (agent) => {
        const result = await run(["run", "x"], { socket: agent.socketPath });
        assert.equal(
          result.stderr,
          `skein: Error response from daemon: ${reason}\n\nRun 'skein run --help' for more information\n`,
        );
        assert.equal(result.exit, exit);
      });
    });
  }

  test("sends what is typed, and the end of it, with -i", async () => {
    let typed = "";
    const upgrade: Upgrade = (_heard, socket) => {
      socket.on("data", (chunk) => {
        typed += String(chunk);
      });
      socket.on("end", () => socket.end(frame(1, "bye\n")));
    };
    await withAgent({ upgrade }, async (agent) => {
      const result = await run(["run", "-i", "cat"], {
        socket: agent.socketPath,
        stdin: "hello\n",
      });
      assert.equal(typed, "hello\n");
      assert.equal(result.stdout, "bye\n");
    });
  });

  test("forwards signals, and gives up when the person insists", async () => {
    await withAgent({ upgrade: () => undefined }, async (agent) => {
      const terminal = new TestTerminal({ socket: agent.socketPath });
      const done = terminal.run(["run", "sleep", "1000"]);
      await until(() => asked(agent, "/containers/c1/start") !== undefined);
      terminal.signal("SIGHUP");
      await until(() => asked(agent, "/containers/c1/kill?signal=SIGHUP") !== undefined);
      for (let i = 0; i < 3; i++) terminal.signal("SIGINT");
      const result = await done;
      assert.match(result.stderr, /got 3 SIGTERM\/SIGINTs, forcefully exiting/);
      assert.equal(result.exit, 130);
      assert.equal(terminal.listens("SIGINT"), false);
    });
  });
});

describe("a terminal", () => {
  const onTerminal = (agent: FakeAgent, more: RunOptions = {}): TestTerminal =>
    new TestTerminal({ socket: agent.socketPath, terminal: true, ...more });

  test("is raw while the process runs, and tells its size", async () => {
    const keys = new PassThrough();
    const upgrade: Upgrade = (_heard, socket) => {
      socket.on("data", (chunk) => socket.end(`raw:${String(chunk)}`));
    };
    await withAgent({ upgrade }, async (agent) => {
      const terminal = onTerminal(agent, { stdin: keys });
      const done = terminal.run(["run", "-it", "bash"]);
      keys.write("x");
      const result = await done;
      assert.equal(result.stdout, "raw:x");
      assert.deepEqual(terminal.raw, [true, false]);
      assert.equal(asked(agent, "/containers/c1/resize")?.path, "/containers/c1/resize?h=24&w=80");
    });
  });

  test("comes back with ctrl-p ctrl-q, and the container stays", async () => {
    const keys = new PassThrough();
    let typed = "";
    const upgrade: Upgrade = (_heard, socket) => {
      socket.on("data", (chunk) => {
        typed += String(chunk);
      });
    };
    await withAgent({ upgrade, tty: true }, async (agent) => {
      const terminal = onTerminal(agent, { stdin: keys });
      const done = terminal.run(["attach", "c1"]);
      keys.write("a\u0010b\u0010\u0011");
      const result = await done;
      await until(() => typed === "a\u0010b");
      assert.deepEqual(result, { stdout: "", stderr: "read escape sequence\n", exit: 0 });
      assert.deepEqual(terminal.raw, [true, false]);
    });
  });

  test("is asked for before anything is made", async () => {
    await withAgent({}, async (agent) => {
      const result = await run(["run", "-it", "bash"], { socket: agent.socketPath });
      assert.deepEqual(result, { stdout: "", stderr: "the input device is not a TTY\n", exit: 1 });
      assert.deepEqual(agent.heard, []);
    });
  });
});

describe("exec", () => {
  test("exits as the command did", async () => {
    await withAgent({ upgrade: speak, exitCode: 3 }, async (agent) => {
      const result = await run(["exec", "-e", "A=1", "c1", "ip", "-4", "addr"], {
        socket: agent.socketPath,
      });
      assert.deepEqual(result, { stdout: "out\nmore\n", stderr: "err\n", exit: 3 });
      const made = asked(agent, "/containers/c1/exec");
      assert.deepEqual(at(object(made?.body), "Cmd"), ["ip", "-4", "addr"]);
    });
  });
});

describe("logs", () => {
  test("come apart into the two streams", async () => {
    const custom: Custom = (heard, response) => {
      if (!heard.path.includes("/logs")) return false;
      response.end(Buffer.concat([frame(1, "out\n"), frame(2, "err\n")]));
      return true;
    };
    await withAgent({ custom }, async (agent) => {
      const result = await run(["logs", "-f", "--tail", "5", "c1"], { socket: agent.socketPath });
      assert.deepEqual(result, { stdout: "out\n", stderr: "err\n", exit: 0 });
      assert.equal(
        asked(agent, "/containers/c1/logs")?.path,
        "/containers/c1/logs?follow=1&stderr=1&stdout=1&tail=5",
      );
    });
  });

  test("that are followed end with Ctrl-C", async () => {
    const custom: Custom = (heard, response) => {
      if (!heard.path.includes("/logs")) return false;
      response.write(frame(1, "out\n"));
      return true;
    };
    await withAgent({ custom }, async (agent) => {
      const terminal = new TestTerminal({ socket: agent.socketPath });
      const done = terminal.run(["logs", "-f", "c1"]);
      await until(() => terminal.stdout !== "");
      terminal.signal("SIGINT");
      assert.deepEqual(await done, { stdout: "out\n", stderr: "", exit: 130 });
    });
  });
});

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}
