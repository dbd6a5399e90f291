import { credentials, Server, ServerCredentials, status } from "@grpc/grpc-js";
import { afterEach, expect, test } from "vitest";
import { systemClock } from "../../common/clock.js";
import { silentLogger } from "../../common/log.js";
import {
  MessageKind,
  RaftClient,
  type RaftMember,
  type RaftMessage,
  RaftService,
} from "../../proto/gen/raft.js";
import { member } from "../../test/fakes/raft-cluster.js";
import { makeMessage } from "../raft/message.js";
import { createRaftTransport, raftStepHandler } from "./raft-transport.js";

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
  const server = new Server();
  const refuse = (_: unknown, answer: (error: { code: status }) => void) =>
    answer({ code: status.UNIMPLEMENTED });
  server.addService(RaftService, {
    step: raftStepHandler({
      clusterId: "cluster",
      deliver,
      authorize: (_, from) => authorize(from),
      hasSeat,
    }),
    join: refuse,
    leave: refuse,
  });
  const bound = await new Promise<number>((resolve, reject) =>
    server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, at) =>
      error === null ? resolve(at) : reject(error),
    ),
  );
  const stop = () => server.forceShutdown();
  closes.push(stop);
  return { port: bound, stop };
}

function transport(
  clusterId = "cluster",
  onRefused?: (member: RaftMember, code: status, details: string) => void,
) {
  const made = createRaftTransport({
    clusterId,
    selfRaftId: 1,
    connect: ({ addr }) =>
      new RaftClient(addr, credentials.createInsecure(), { "grpc.use_local_subchannel_pool": 1 }),
    clock: systemClock,
    timing: { retryMinMs: 10 },
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
      const sender = transport(clusterId, (_, code, why) =>
        code === status.PERMISSION_DENIED ? resolve(why) : reject(new Error(why)),
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
    const sender = transport("cluster", (_member, _code, why) => resolve(why));
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
