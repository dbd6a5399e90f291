import { createServer } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { isRefusal } from "../fault.js";
import { verifySwarmRoot } from "./swarm-root.js";

const closes: (() => void)[] = [];
afterEach(() => {
  for (const close of closes.splice(0)) close();
});

/** The address of a server that treats each connection so. */
function serving(onConnection: (socket: import("node:net").Socket) => void): Promise<string> {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    closes.push(() => socket.destroy());
    onConnection(socket);
  });
  closes.push(() => server.close());
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      if (address && typeof address !== "string") resolve(`127.0.0.1:${address.port}`);
    });
  });
}

async function refusalOf(addr: string): Promise<string> {
  const answer = await verifySwarmRoot(addr, Buffer.alloc(32), 300);
  return isRefusal(answer) ? answer.message : "verified";
}

describe("a manager that cannot be verified is named with the cause", () => {
  test("nobody listens", async () => {
    const addr = await serving(() => {});
    for (const close of closes.splice(0)) close();
    expect(await refusalOf(addr)).toBe(
      `cannot reach a manager: dial tcp ${addr}: connect: connection refused`,
    );
  });
  test("it never answers", async () => {
    const addr = await serving(() => {});
    expect(await refusalOf(addr)).toBe(`cannot reach a manager: dial tcp ${addr}: i/o timeout`);
  });
  test("it hangs up", async () => {
    const addr = await serving((socket) => socket.end());
    expect(await refusalOf(addr)).toMatch(/^cannot reach a manager: dial tcp .*: /);
  });
  test("it speaks something else", async () => {
    const addr = await serving((socket) => void socket.write("SSH-2.0-OpenSSH\r\n"));
    expect(await refusalOf(addr)).toContain("it does not speak TLS");
  });
  test("the address is none", async () => {
    expect(await refusalOf("a:b:c:99999")).toBe('invalid remote address "a:b:c:99999"');
  });
});
