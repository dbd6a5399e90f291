// The socket itself: whose it is, and what garbage, silence and half a request on it cost.
import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { serveApi } from "../../agent/api/server.js";
import { groupId } from "../../agent/api/socket.js";
import { systemClock } from "../../common/clock.js";
import { silentLogger } from "../../common/log.js";
import { FakeAgentNode } from "../fakes/agent-node.js";
import { type ApiLab, apiLab } from "./api-lab.js";

const folder = mkdtempSync(join(tmpdir(), "skein-sock-"));
const serve = (socketPath: string, group = "") =>
  serveApi({
    socketPath,
    group,
    node: new FakeAgentNode({ hostname: "h1", addr: "192.168.133.1" }),
    log: silentLogger(),
    clock: systemClock,
  });

let lab: ApiLab;
beforeAll(async () => {
  lab = await apiLab();
});
afterAll(async () => {
  await lab.close();
  rmSync(folder, { recursive: true, force: true });
});

describe("the file", () => {
  test("is the owner's and the group's alone, and goes with the server", async () => {
    const path = join(folder, "a.sock");
    const close = await serve(path, String(process.getgid?.() ?? 0));
    expect(statSync(path).mode & 0o777).toBe(0o660);
    await close();
    expect(existsSync(path)).toBe(false);
  });

  test("a group that does not exist leaves it to the owner", async () => {
    const path = join(folder, "b.sock");
    const close = await serve(path, "no-such-group");
    expect(statSync(path).mode & 0o777).toBe(0o660);
    await close();
  });

  test("of an agent that was killed is replaced", async () => {
    const path = join(folder, "c.sock");
    await leaveStale(path);
    expect(existsSync(path)).toBe(true);
    const close = await serve(path);
    await close();
  });

  test("of a live agent is left alone", async () => {
    const path = join(folder, "d.sock");
    const close = await serve(path);
    await expect(serve(path)).rejects.toThrow("API_SOCKET_IN_USE");
    expect(await said(connect(path), "GET /_ping HTTP/1.0\r\n\r\n")).toContain("OK");
    await close();
  });

  test("that is no socket is left alone", async () => {
    const path = join(folder, "e.sock");
    writeFileSync(path, "precious");
    chmodSync(path, 0o600);
    await expect(serve(path)).rejects.toThrow("API_SOCKET_BLOCKED");
    expect(statSync(path).size).toBe(8);
  });
});

test("a group is found by name or number", () => {
  const file = join(folder, "group");
  writeFileSync(file, "root:x:0:\nskein:x:984:ann\nskeiner:x:985:\n");
  expect([
    groupId("skein", file),
    groupId("31", file),
    groupId("nobody", file),
    groupId("", file),
  ]).toEqual([984, 31, undefined, undefined]);
});

/** A socket file that nobody answers on, as SIGKILL leaves it. */
async function leaveStale(path: string): Promise<void> {
  const { spawn } = await import("node:child_process");
  const script = `require("node:net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`;
  const child = spawn(process.execPath, ["-e", script]);
  await new Promise((resolve) => child.on("exit", resolve));
}

describe("what is no request", () => {
  const cases: readonly (readonly [name: string, bytes: string | Buffer, answer: RegExp])[] = [
    ["random bytes", randomBytes(4_096), /^HTTP\/1\.1 400 [\s\S]*this is not an HTTP request/],
    ["another protocol", "SSH-2.0-OpenSSH_9.2\r\n", /^HTTP\/1\.1 400 /],
    ["headers without end", `GET /_ping HTTP/1.1\r\nX: ${"x".repeat(40_000)}`, /^HTTP\/1\.1 431 /],
    [
      "two lengths",
      "POST /swarm/init HTTP/1.1\r\nHost: d\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
      /^HTTP\/1\.1 400 /,
    ],
    ["a path with a NUL", "GET /_ping\0 HTTP/1.1\r\nHost: d\r\n\r\n", /^HTTP\/1\.1 400 /],
    [
      "a bad escape",
      "GET /networks/%zz HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n",
      /^HTTP\/1\.1 400 [\s\S]*invalid URL escape/,
    ],
    [
      "an upgrade to nothing",
      "GET /_ping HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
      /^HTTP\/1\.1 200 [\s\S]*OK$/,
    ],
    [
      "an upgrade with chunks",
      "POST /exec/x/start HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
      /^HTTP\/1\.1 411 /,
    ],
    [
      "an upgrade of what is not there",
      "POST /containers/x/attach?stream=1 HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n",
      /^HTTP\/1\.1 404 [\s\S]*No such container: x/,
    ],
    [
      "an upgrade with a body longer than any",
      "POST /exec/x/start HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 99999999\r\n\r\n",
      /^HTTP\/1\.1 413 /,
    ],
  ];
  for (const [name, bytes, answer] of cases) {
    test(name, async () => {
      expect(await said(connect(lab.hosts.h1.socketPath), bytes)).toMatch(answer);
    });
  }

  test("costs a counter", async () => {
    const { text } = await lab.hosts.h1.http("GET", "/skein/v1/metrics");
    expect(Number(/skein_api_malformed_total (\d+)/.exec(text)?.[1])).toBeGreaterThanOrEqual(4);
  });

  test("in any amount leaves the API answering", async () => {
    const { socketPath } = lab.hosts.h1;
    await Promise.all(
      Array.from({ length: 100 }, async (_, i) => {
        const socket = connect(socketPath);
        socket.on("error", () => undefined);
        socket.write(randomBytes(64 + i * 7));
        if (i % 3 === 0) socket.destroy();
        else if (i % 3 === 1) socket.end();
        await new Promise((resolve) => socket.on("close", resolve).resume());
      }),
    );
    expect((await lab.hosts.h1.http("GET", "/_ping")).text).toBe("OK");
  });
});

describe("a client that goes away", () => {
  test("in the middle of a body costs nothing", async () => {
    const socket = connect(lab.hosts.h1.socketPath);
    socket.write(
      "POST /swarm/init HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
    );
    await new Promise((resolve) => socket.once("connect", resolve));
    socket.destroy();
    expect((await lab.hosts.h1.http("GET", "/info")).json).toHaveProperty(
      "Swarm.LocalNodeState",
      "inactive",
    );
  });

  test("ends what was done for it", async () => {
    const { node, socketPath } = lab.hosts.h1;
    const created = await lab.hosts.h1.http("POST", "/containers/create?name=w1", {
      Image: "process",
      Cmd: ["sleep"],
    });
    await lab.hosts.h1.http("POST", "/containers/w1/start");
    expect(created.status).toBe(201);
    const aborted = new Promise<void>((resolve) => {
      const real = node.containers.wait.bind(node.containers);
      node.containers.wait = (ref, condition, signal) => {
        signal.addEventListener("abort", () => resolve());
        return real(ref, condition, signal);
      };
    });
    const socket = connect(socketPath);
    socket.write("POST /containers/w1/wait HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n");
    // The headers come at once, though the container runs on.
    const head = await new Promise<string>((resolve) =>
      socket.once("data", (data) => resolve(String(data))),
    );
    expect(head).toMatch(/^HTTP\/1\.1 200 OK/);
    socket.destroy();
    await aborted;
  });
});

test("closing ends what streams, and takes no longer than its grace", async () => {
  const path = join(folder, "f.sock");
  const close = await serve(path);
  const socket = connect(path);
  socket.write("GET /events HTTP/1.1\r\nHost: d\r\n\r\n");
  await new Promise((resolve) => socket.once("data", resolve));
  const ended = new Promise((resolve) => socket.resume().once("close", resolve));
  await close();
  await ended;
});

function said(socket: Socket, bytes: string | Buffer): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    socket.on("data", (chunk) => (text += chunk.toString("latin1")));
    socket.on("error", () => undefined);
    socket.on("close", () => resolve(text));
    socket.on("end", () => socket.end());
    socket.write(bytes);
    if (!/Upgrade|close/.test(bytes.toString("latin1"))) setTimeout(() => socket.end(), 200);
  });
}
