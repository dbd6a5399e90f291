import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { status } from "@grpc/grpc-js";
import { afterEach, expect, test } from "vitest";
import { type Clock, systemClock } from "../../common/clock.js";
import { silentLogger } from "../../common/log.js";
import {
  MessageKind,
  type RaftMember,
  type RaftMessage,
  type RaftRefusal,
} from "../../proto/gen/raft.js";
import { member } from "../../test/fakes/raft-cluster.js";
import { makeMessage } from "../raft/message.js";
import { receiveRaft } from "./raft-receiver.js";
import { createRaftTransport } from "./raft-transport.js";

const closes: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closes.splice(0).reverse()) await close();
});

interface Arrivals {
  readonly messages: RaftMessage[];
  /** Resolves when there are this many. */
  count(n: number): Promise<void>;
}

function arrivals(): Arrivals & { add(message: RaftMessage): void } {
  const messages: RaftMessage[] = [];
  let wake = () => {};
  return {
    messages,
    add(message) {
      messages.push(message);
      wake();
    },
    async count(n) {
      while (messages.length < n) await new Promise<void>((resolve) => (wake = resolve));
    },
  };
}

async function listen(
  deliver: (message: RaftMessage) => void,
  authorize: (from: number) => true | string = () => true,
  port = 0,
  hasSeat: () => boolean = () => true,
): Promise<{ port: number; stop: () => void }> {
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    receiveRaft(socket, { clusterId: "cluster", deliver, authorize, hasSeat });
  });
  const stop = () => {
    server.close();
    for (const socket of open) socket.destroy();
  };
  closes.push(stop);
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return { port: (server.address() as AddressInfo).port, stop };
}

function transport(
  clusterId = "cluster",
  onRefused?: (member: RaftMember, refusal: RaftRefusal) => void,
  clock: Clock = systemClock,
) {
  const made = createRaftTransport({
    clusterId,
    selfRaftId: 1,
    selfAddr: "127.0.0.1:1",
    connect: ({ addr }) => connect(Number(addr.split(":")[1]), "127.0.0.1"),
    clock,
    timing: { retryMinMs: 10, dialMs: 4_000 },
    log: silentLogger(),
    ...(onRefused === undefined ? {} : { onRefused }),
  });
  closes.push(() => made.close());
  return made;
}

const heartbeat = (context: number) => makeMessage(MessageKind.HEARTBEAT, 1, 2, 1, { context });
const at = (port: number) => ({ ...member(2), addr: `127.0.0.1:${port}` });

test("messages arrive in order, with the cluster's id", async () => {
  const got = arrivals();
  const { port } = await listen((message) => got.add(message));
  const sender = transport();
  sender.setMembers([member(1), at(port)]);
  for (let i = 1; i <= 100; i++) sender.send(heartbeat(i));
  await got.count(100);
  expect(got.messages.map(({ context }) => context)).toEqual(
    Array.from({ length: 100 }, (_, i) => i + 1),
  );
  expect(got.messages[0]?.clusterId).toBe("cluster");
});

test("who was let in is answered where it says it is, member or not", async () => {
  const got = arrivals();
  const { port } = await listen((message) => got.add(message));
  const lagging = transport();
  lagging.setMembers([member(1)]);
  lagging.send(heartbeat(1));
  const fromLeader = makeMessage(MessageKind.HEARTBEAT, 2, 1, 1, {});
  lagging.deliver({ ...fromLeader, fromAddr: at(port).addr });
  lagging.send(heartbeat(2));
  await got.count(1);
  expect(got.messages.map(({ context, fromAddr }) => [context, fromAddr])).toEqual([
    [2, "127.0.0.1:1"],
  ]);
});

test("a member that restarts is found again", async () => {
  const got = arrivals();
  const first = await listen((message) => got.add(message));
  const sender = transport();
  sender.setMembers([at(first.port)]);
  sender.send(heartbeat(1));
  await got.count(1);
  first.stop();
  await listen((message) => got.add(message), undefined, first.port);
  const beat = setInterval(() => sender.send(heartbeat(2)), 10);
  closes.push(() => clearInterval(beat));
  await got.count(2);
});

const refusals = [
  { name: "another swarm", clusterId: "other", allow: true as const, details: "another swarm" },
  {
    name: "a member that was removed",
    clusterId: "cluster",
    allow: "You were removed.",
    details: "removed",
  },
];
for (const { name, clusterId, allow, details } of refusals) {
  test(`messages of ${name} are refused, and the sender is told`, async () => {
    const got = arrivals();
    const { port } = await listen(
      (message) => got.add(message),
      () => allow,
    );
    const refused = new Promise<string>((resolve, reject) => {
      const sender = transport(clusterId, (_, { code, details }) =>
        code === status.PERMISSION_DENIED ? resolve(details) : reject(new Error(details)),
      );
      sender.setMembers([at(port)]);
      sender.send(heartbeat(1));
    });
    expect(await refused).toContain(details);
    expect(got.messages).toEqual([]);
  });
}

test("who asks for whom is asked once, and again when the sender's name changes", async () => {
  const asked: number[] = [];
  const got = arrivals();
  const { port } = await listen(
    (message) => got.add(message),
    (from) => {
      asked.push(from);
      return true;
    },
  );
  const sender = transport();
  sender.setMembers([at(port)]);
  for (const from of [1, 1, 1, 3]) sender.send({ ...heartbeat(0), from });
  await got.count(4);
  expect(asked).toEqual([1, 3]);
});

test("sending to nobody, or to an address where nobody is, does nothing", async () => {
  const sender = transport();
  sender.send(heartbeat(1));
  sender.setMembers([at(1)]);
  for (let i = 0; i < 1_000; i++) sender.send(heartbeat(i));
});

test("a sender that loses its seat while its stream is open is told so", async () => {
  const got = arrivals();
  let seated = true;
  const authorize = () => seated || "no seat";
  const { port } = await listen(
    (message) => got.add(message),
    authorize,
    0,
    () => seated,
  );
  const refused = new Promise<string>((resolve) => {
    const sender = transport("cluster", (_, { details: why }) => resolve(why));
    sender.setMembers([at(port)]);
    sender.send(heartbeat(1));
    void got.count(1).then(() => {
      seated = false;
      sender.send(heartbeat(2));
    });
  });
  expect(await refused).toBe("no seat");
  expect(got.messages.map(({ context }) => context)).toEqual([1]);
});

test("a member that takes what it is sent and does not answer is dialled anew", async () => {
  const dialled: Socket[] = [];
  const server = createServer((socket) => {
    dialled.push(socket);
    socket.on("error", () => {}).resume();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closes.push(() => {
    server.close();
    for (const socket of dialled) socket.destroy();
  });
  let nowMs = 0;
  const sender = transport("cluster", undefined, { ...systemClock, monotonicMs: () => nowMs });
  sender.setMembers([at((server.address() as AddressInfo).port)]);
  await expect
    .poll(
      () => {
        sender.send(heartbeat(1));
        nowMs += 300;
        return dialled.length;
      },
      { interval: 5, timeout: 5_000 },
    )
    .toBeGreaterThan(1);
});
