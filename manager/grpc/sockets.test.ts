import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { refuse } from "../../common/fault.js";
import { silentLogger } from "../../common/log.js";
import type { AdminApi, ControlApi } from "../seams.js";
import { openLocalSocket } from "./sockets.js";

// RFC 9113 section 3.4, and an empty SETTINGS frame.
const HELLO = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", "latin1");

afterEach(() => {
  vi.useRealTimers();
});

test("an agent that gets no time to answer keeps its connection to the manager", async () => {
  const dir = mkdtempSync(join(tmpdir(), "skein-sockets-"));
  const path = join(dir, "manager.sock");
  const no = async () => refuse("unavailable", "not here");
  const admin: AdminApi = {
    init: no,
    join: no,
    setIdentity: no,
    confirmSeat: no,
    setAddr: no,
    backup: no,
    restore: no,
    recover: no,
    renewExpired: no,
    status: no,
    reports: no,
    leave: no,
    unlock: no,
    keys: no,
  };
  vi.useFakeTimers({ toFake: ["setTimeout", "setInterval", "clearTimeout", "clearInterval"] });
  const close = await openLocalSocket(path, admin, () => ({}) as ControlApi, silentLogger());
  const agent = connect(path);
  let ended = false;
  agent.on("close", () => {
    ended = true;
  });
  agent.write(HELLO);
  // The server's own settings show that it has taken the connection.
  await once(agent, "data");
  for (let second = 0; second < 60; second += 1) {
    await vi.advanceTimersByTimeAsync(1_000);
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(ended).toBe(false);
  agent.destroy();
  vi.useRealTimers();
  await close();
  rmSync(dir, { recursive: true });
});
