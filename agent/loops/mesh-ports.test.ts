import { expect, test } from "vitest";
import { silentLogger } from "../../common/log.js";
import { DEFAULT_TIMING } from "../../common/timing.js";
import { ManualClock } from "../../test/fakes/manual-clock.js";
import type { PortHolder } from "../localnet/keeping.js";
import { MeshPorts } from "./mesh-ports.js";

const web = { protocol: "tcp", port: 8080, name: "web" } as const;
const dns = { protocol: "udp", port: 53, name: "dns" } as const;

test("a port is kept in both families, or in none where a program has it in one", () => {
  const held = new Set<string>();
  const holder: PortHolder = {
    hold(_protocol, ip, port) {
      if (ip === "::" && port === 53) return "taken";
      const key = `${ip} ${port}`;
      held.add(key);
      return { release: () => held.delete(key) };
    },
    range: () => ({ first: 1, last: 2 }),
  };
  const ports = new MeshPorts(holder, new ManualClock(), DEFAULT_TIMING, silentLogger());
  ports.keep([web, dns]);
  expect([...held]).toEqual(["0.0.0.0 8080", ":: 8080"]);
  expect([ports.has(web), ports.has(dns)]).toEqual([true, false]);
  ports.close();
  expect(held.size).toBe(0);
});

test("a port is kept while it is published; one that is taken is left alone until it is free", async () => {
  const held = new Set<number>();
  const others = new Set([53]);
  const holder: PortHolder = {
    hold(_protocol, _ip, port) {
      if (others.has(port)) return "taken";
      held.add(port);
      return { release: () => held.delete(port) };
    },
    range: () => ({ first: 1, last: 2 }),
  };
  const clock = new ManualClock();
  const ports = new MeshPorts(holder, clock, DEFAULT_TIMING, silentLogger());
  let freed = 0;
  ports.watch(() => freed++);
  ports.keep([web, dns]);
  expect([ports.has(web), ports.has(dns)]).toEqual([true, false]);
  expect(ports.problems()).toHaveLength(1);
  await clock.advance(DEFAULT_TIMING.resyncMs);
  expect(freed).toBe(0);
  others.clear();
  await clock.advance(DEFAULT_TIMING.resyncMs);
  expect(freed).toBe(1);
  expect([...held].sort()).toEqual([53, 8080]);
  ports.keep([dns]);
  expect([...held]).toEqual([53]);
  ports.close();
  expect(held.size).toBe(0);
});
