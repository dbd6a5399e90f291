import { connect as connectTcp } from "node:net";
import { type ConnectionOptions, connect } from "node:tls";
import { afterEach, expect, test } from "vitest";
import { newNodeKey } from "../../common/certificates.js";
import { createCsr } from "../../common/csr.js";
import { orThrow } from "../../common/fault.js";
import { systemRandom } from "../../common/random.js";
import { InitRequest } from "../../proto/gen/admin.js";
import { freePort } from "../../test/fakes/free-port.js";
import { newSwarm } from "../new-swarm.js";
import { listenForSwarm, type SwarmListener } from "./swarm-listener.js";

let listener: SwarmListener | undefined;
afterEach(() => {
  listener?.stop();
  listener?.destroy();
});

async function nodeIdentity() {
  const privateKey = newNodeKey();
  const csr = await createCsr(privateKey);
  const addr = "192.0.2.1:2377";
  const wish = { hostname: "h", listenAddr: addr, advertiseAddr: addr, privateKey, csr };
  return orThrow(await newSwarm(InitRequest.fromPartial(wish), Date.now(), systemRandom)).tls;
}

async function listen(
  options: {
    host?: string;
    strangersMax?: number;
    strangerMs?: number;
    isBarred?: () => boolean;
  } = {},
) {
  const { host = "127.0.0.1" } = options;
  const identity = await nodeIdentity();
  const served: boolean[] = [];
  listener = await listenForSwarm({
    listenAddr: `${host}:${await freePort()}`,
    identity,
    scale: 1,
    isBarred: () => false,
    ...options,
    onSocket: (socket) => {
      served.push(socket.authorized);
      socket.resume();
    },
    onRaft: () => {},
  });
  return { identity, served, port: listener.port, counters: listener.counters };
}

const soon = (look: () => unknown) => expect.poll(look, { interval: 5, timeout: 5_000 });

function idle(port: number, host = "127.0.0.1") {
  const socket = connectTcp(port, host);
  let closed = false;
  socket.on("error", () => {});
  socket.on("close", () => {
    closed = true;
  });
  return { socket, closed: () => closed };
}

function member(port: number, more: ConnectionOptions) {
  const socket = connect({
    port,
    host: "127.0.0.1",
    rejectUnauthorized: false,
    ALPNProtocols: ["h2"],
    ...more,
  });
  let closed = false;
  socket.on("error", () => {});
  socket.on("close", () => {
    closed = true;
  });
  return { socket, closed: () => closed };
}

// Docker's default is 0.0.0.0, and Go opens both families for it (net.Listen: "all available addresses").
test.each(["0.0.0.0", "[::]"])("on %s it is reached by IPv4 and by IPv6", async (host) => {
  const { port, counters } = await listen({ host });
  for (const to of ["127.0.0.1", "::1"]) idle(port, to);
  await soon(() => counters().accepted).toBe(2);
});

test("garbage is counted and ended", async () => {
  const { port, counters, served } = await listen();
  const { socket, closed } = idle(port);
  socket.write("GET / HTTP/1.1\r\n\r\n");
  await soon(closed).toBe(true);
  expect(counters()).toMatchObject({ accepted: 1, handshakesFailed: 1, open: 0, strangers: 0 });
  expect(served).toEqual([]);
});

test("who speaks TLS and not HTTP/2 is counted and ended", async () => {
  const { port, counters } = await listen();
  const { closed } = member(port, { ALPNProtocols: ["http/1.1"] });
  await soon(closed).toBe(true);
  expect(counters().handshakesFailed).toBe(1);
});

test("who shows no certificate is served for a while and then ended; a member stays", async () => {
  const { port, counters, served, identity } = await listen({ strangerMs: 300 });
  const stranger = member(port, {});
  const silent = idle(port);
  const own = member(port, { cert: identity.certificate, key: identity.privateKey });
  await soon(() => served.length).toBe(2);
  expect([...served].sort()).toEqual([false, true]);
  await soon(() => stranger.closed() && silent.closed()).toBe(true);
  expect(counters()).toMatchObject({ strangers: 0, open: 1 });
  expect(own.closed()).toBe(false);
  own.socket.destroy();
});

test("a crowd of idle strangers makes room for a member, and the oldest goes first", async () => {
  const { port, counters, served, identity } = await listen({ strangersMax: 8 });
  const crowd = Array.from({ length: 8 }, () => idle(port));
  await soon(() => counters().strangers).toBe(8);
  const own = member(port, { cert: identity.certificate, key: identity.privateKey });
  await soon(() => served).toEqual([true]);
  expect(counters()).toMatchObject({ strangersCrowded: 1, strangers: 7, open: 8 });
  await soon(() => crowd.filter((each) => each.closed()).length).toBe(1);
  // Members do not count against strangers.
  const more = Array.from({ length: 3 }, () => idle(port));
  await soon(() => counters().strangersCrowded).toBe(3);
  expect(own.closed()).toBe(false);
  for (const { socket } of [...crowd, ...more, own]) socket.destroy();
});

test("who is barred is cut off, and stays a stranger when it comes again", async () => {
  let isBarred = false;
  const options = { strangerMs: 1_000, isBarred: () => isBarred };
  const { port, counters, served, identity } = await listen(options);
  const tls = { cert: identity.certificate, key: identity.privateKey };
  const before = member(port, tls);
  await soon(() => served.length).toBe(1);
  isBarred = true;
  listener?.cutBarred();
  await soon(before.closed).toBe(true);
  const after = member(port, tls);
  await soon(() => served.length).toBe(2);
  expect(counters().strangers).toBe(1);
  await soon(after.closed).toBe(true);
  expect(counters().strangersLate).toBe(1);
});

test("a port that is taken is named", async () => {
  const { port, identity } = await listen();
  const rest = { scale: 1, isBarred: () => false, onSocket: () => {}, onRaft: () => {} };
  const again = { listenAddr: `127.0.0.1:${port}`, identity, ...rest };
  await expect(listenForSwarm(again)).rejects.toMatchObject({
    code: "LISTEN",
    data: { addr: `127.0.0.1:${port}`, why: "bind: address already in use" },
  });
});
