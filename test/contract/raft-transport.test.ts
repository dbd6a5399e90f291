// What every RaftTransport does, the one in memory and the one over connections.
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { systemClock } from "../../common/clock.js";
import { silentLogger } from "../../common/log.js";
import { makeMessage } from "../../manager/raft/message.js";
import type { RaftTransport } from "../../manager/seams.js";
import { receiveRaft } from "../../manager/wire/raft-receiver.js";
import { createRaftTransport } from "../../manager/wire/raft-transport.js";
import { EntryKind, MessageKind, type RaftMember, RaftMessage } from "../../proto/gen/raft.js";
import { member } from "../fakes/raft-cluster.js";
import { RaftNetwork } from "../fakes/raft-network.js";

interface Pair {
  readonly ends: readonly [RaftTransport, RaftTransport];
  readonly members: readonly [RaftMember, RaftMember];
  close(): Promise<void>;
}

async function memory(): Promise<Pair> {
  const network = new RaftNetwork();
  const members = [member(1), member(2)] as const;
  return {
    ends: [network.attach(1), network.attach(2)],
    members,
    close: async () => {},
  };
}

async function wire(): Promise<Pair> {
  const [one, two] = [await wireEnd(1), await wireEnd(2)];
  return {
    ends: [one.transport, two.transport],
    members: [one.member, two.member],
    close: async () => {
      for (const end of [one, two]) await end.close();
    },
  };
}

async function wireEnd(raftId: number) {
  const transport = createRaftTransport({
    clusterId: "cluster",
    selfRaftId: raftId,
    selfAddr: "",
    connect: ({ addr }) => connect(Number(addr.split(":")[1]), "127.0.0.1"),
    clock: systemClock,
    timing: { retryMinMs: 10, dialMs: 4_000 },
    log: silentLogger(),
  });
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    receiveRaft(socket, {
      clusterId: "cluster",
      deliver: (message) => transport.deliver(message),
      authorize: () => true,
      hasSeat: () => true,
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    transport,
    member: { ...member(raftId), addr: `127.0.0.1:${port}` },
    async close() {
      await transport.close();
      server.close();
      for (const socket of open) socket.destroy();
    },
  };
}

const append = (to: number, index: number): RaftMessage =>
  makeMessage(MessageKind.APPEND, 3 - to, to, 7, {
    index,
    entries: [
      { term: 7, index: index + 1, kind: EntryKind.NORMAL, data: Buffer.alloc(2 ** 16, index) },
    ],
  });

function arriving(end: RaftTransport, count: number): Promise<RaftMessage[]> {
  const messages: RaftMessage[] = [];
  return new Promise((resolve) => {
    end.received.subscribe((message) => {
      if (messages.push(message) === count) resolve(messages);
    });
  });
}

for (const [name, make] of Object.entries({ memory, wire })) {
  describe(`a raft transport (${name})`, () => {
    let pair: Pair;
    afterEach(() => pair.close());

    test("carries messages whole and in order, both ways", async () => {
      pair = await make();
      const [one, two] = pair.ends;
      for (const end of pair.ends) end.setMembers(pair.members);
      const [atOne, atTwo] = [arriving(one, 20), arriving(two, 20)];
      for (let i = 0; i < 20; i++) {
        one.send(append(2, i));
        two.send(append(1, i));
      }
      const plain = (message: RaftMessage) =>
        Buffer.from(RaftMessage.encode({ ...message, clusterId: "" }).finish()).toString("base64");
      const sent = (to: number) => Array.from({ length: 20 }, (_, i) => plain(append(to, i)));
      expect((await atOne).map(plain)).toEqual(sent(1));
      expect((await atTwo).map(plain)).toEqual(sent(2));
    });

    test("what was sent to a member before it was removed still arrives", async () => {
      pair = await make();
      const [one, two] = pair.ends;
      one.setMembers(pair.members);
      const first = arriving(two, 1);
      one.send(append(2, 1));
      await first;
      const last = arriving(two, 3);
      for (let i = 2; i < 5; i++) one.send(append(2, i));
      one.setMembers(pair.members.slice(0, 1));
      expect((await last).map(({ index }) => index)).toEqual([2, 3, 4]);
    });

    test("drops what is for no member, and carries it once there is one", async () => {
      pair = await make();
      const [one, two] = pair.ends;
      one.send(append(2, 1));
      one.setMembers(pair.members.slice(0, 1));
      one.send(append(2, 2));
      one.setMembers(pair.members);
      const got = arriving(two, 1);
      one.send(append(2, 3));
      expect((await got).map(({ index }) => index)).toEqual([3]);
    });
  });
}
