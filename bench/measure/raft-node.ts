// One manager of the benchmark's group, a process of its own: a real log on a real disk, Raft messages over mutual
// TLS; a table of keys and values as what the log is applied to. Told what to do by its parent (raft-group.ts).
import { Server, ServerCredentials, type UntypedServiceImplementation } from "@grpc/grpc-js";
import { systemClock } from "../../common/clock.js";
import { socketIdentity } from "../../common/grpc/peer-identity.js";
import { silentLogger } from "../../common/log.js";
import { systemRandom } from "../../common/random.js";
import { DEFAULT_TIMING } from "../../common/timing.js";
import { Keyring } from "../../manager/disk/keyring.js";
import { openLogDisk } from "../../manager/disk/log-disk.js";
import { openStateDir } from "../../manager/disk/state-dir.js";
import { Peers } from "../../manager/grpc/peers.js";
import { listenForSwarm } from "../../manager/grpc/swarm-listener.js";
import { startConsensus } from "../../manager/loops/consensus.js";
import type { RunningConsensus } from "../../manager/loops/consensus-options.js";
import type { SnapshotSlices, StateMachine } from "../../manager/seams.js";
import { receiveRaft } from "../../manager/wire/raft-receiver.js";
import { createRaftTransport } from "../../manager/wire/raft-transport.js";
import type { Identity } from "../../proto/gen/admin.js";
import { ConfChangeKind } from "../../proto/gen/raft.js";
import { type KeyValue, KV_SERVICE } from "./kv.js";
import { load } from "./load.js";
import { type Answer, CLUSTER_ID, nodeIdOf, type Order } from "./raft-orders.js";

const { signal: never } = new AbortController();
const DATA = Buffer.alloc(512, 1);

class Table implements StateMachine<number> {
  readonly #rows = new Map<string, Buffer>();
  #count = 0;

  apply(_index: number, data: Uint8Array): number {
    const [length = 0] = data;
    const bytes = Buffer.from(data.buffer, data.byteOffset, data.length);
    this.#rows.set(bytes.toString("latin1", 1, 1 + length), bytes.subarray(1 + length));
    return ++this.#count;
  }
  get(key: Buffer): Buffer | undefined {
    return this.#rows.get(key.toString("latin1"));
  }
  snapshotSlices(): SnapshotSlices {
    return { next: () => ({ done: true, value: this.snapshot() }) };
  }
  snapshot(): Buffer {
    const rows = [...this.#rows].map(([key, value]) => [key, value.toString("base64")]);
    return Buffer.from(JSON.stringify(rows));
  }
  restore(data: Uint8Array): void {
    this.#rows.clear();
    const rows = JSON.parse(Buffer.from(data).toString()) as [string, string][];
    for (const [key, value] of rows) this.#rows.set(key, Buffer.from(value, "base64"));
  }
}

const entryOf = ({ key, value }: KeyValue) => Buffer.concat([Buffer.of(key.length), key, value]);

class Node {
  private constructor(
    private readonly consensus: RunningConsensus<number>,
    private readonly closing: readonly (() => unknown)[],
  ) {}

  static async start(order: Extract<Order, { kind: "start" }>): Promise<Node> {
    const { bootstrap, addr } = order;
    const raftId = bootstrap.kind === "resume" ? bootstrap.raftId : bootstrap.self.raftId;
    const tls: Identity = {
      certificate: Buffer.from(order.tls.certificate, "base64"),
      privateKey: Buffer.from(order.tls.privateKey, "base64"),
      rootCaCert: Buffer.from(order.tls.rootCaCert, "base64"),
    };
    const log = silentLogger();
    const peers = new Peers({ identity: tls, requestMs: 10_000, scale: 1 });
    const transport = createRaftTransport({
      clusterId: CLUSTER_ID,
      selfRaftId: raftId,
      selfAddr: addr,
      connect: (member) => peers.raftSocket(member.addr),
      clock: systemClock,
      timing: DEFAULT_TIMING,
      log,
    });
    const listener = await listenForSwarm({
      listenAddr: addr,
      identity: tls,
      scale: 1,
      isBarred: () => false,
      onSocket: (socket) => socket.destroy(),
      onRaft: (socket) =>
        receiveRaft(socket, {
          clusterId: CLUSTER_ID,
          deliver: (message) => transport.deliver(message),
          authorize: (from) =>
            socketIdentity(socket)?.nodeId === nodeIdOf(from) || "another's certificate",
          hasSeat: () => true,
        }),
    });
    const dir = await openStateDir(order.folder);
    const machine = new Table();
    const consensus = await startConsensus<number>({
      bootstrap,
      clusterId: CLUSTER_ID,
      disk: await openLogDisk({ dir, keys: await Keyring.open(dir), log }),
      transport,
      machine,
      clock: systemClock,
      random: systemRandom,
      timing: DEFAULT_TIMING,
      log,
      snapshotInterval: 10_000,
      onFailure: (error) => {
        throw error;
      },
    });
    const clients = new Server();
    clients.addService(KV_SERVICE, service(consensus, machine));
    await listen(clients, order.clientAddr, ServerCredentials.createInsecure());
    return new Node(consensus, [
      () => clients.forceShutdown(),
      () => consensus.close(),
      () => transport.close(),
      () => listener.stop(),
      () => listener.destroy(),
      () => dir.close(),
    ]);
  }

  async do(order: Order): Promise<Answer> {
    const { consensus } = this;
    switch (order.kind) {
      case "add":
        await consensus.changeMembers(
          { kind: ConfChangeKind.ADD_LEARNER, member: order.member },
          never,
        );
        return { members: consensus.status().members };
      case "promote":
        while (consensus.caughtUpLearners().length === 0) await systemClock.sleep(10, never);
        await consensus.changeMembers(
          { kind: ConfChangeKind.PROMOTE, member: order.member },
          never,
        );
        return {};
      case "load": {
        const entry = entryOf({ key: Buffer.from("key"), value: DATA });
        // A signal of its own for each, as each request has.
        const once =
          order.what === "propose"
            ? () => consensus.propose(entry, new AbortController().signal)
            : () => consensus.readBarrier(new AbortController().signal);
        return { load: await load(order.inFlight, order.ms, once) };
      }
      case "stop":
        for (const close of this.closing) await close();
        return {};
      case "start":
        throw new Error("it has started");
    }
  }
}

function service(
  consensus: RunningConsensus<number>,
  machine: Table,
): UntypedServiceImplementation {
  type Reply = (error: Error | null, value?: Buffer) => void;
  type Call = { readonly request: KeyValue };
  const handle = (run: (request: KeyValue) => Promise<Buffer>) => (call: Call, reply: Reply) => {
    run(call.request).then(
      (value) => reply(null, value),
      (error: Error) => reply(error),
    );
  };
  const done = Buffer.alloc(0);
  return {
    put: handle(async (request) => {
      await consensus.propose(entryOf(request), new AbortController().signal);
      return done;
    }),
    range: handle(async ({ key }) => {
      await consensus.readBarrier(new AbortController().signal);
      return machine.get(key) ?? done;
    }),
  };
}

function listen(server: Server, addr: string, how: ServerCredentials): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(addr, how, (error, port) => (error === null ? resolve(port) : reject(error)));
  });
}

let node: Node | undefined;
process.on("message", (order: Order) => {
  const act = async (): Promise<Answer> => {
    if (order.kind !== "start") return (await node?.do(order)) ?? {};
    node = await Node.start(order);
    return {};
  };
  act()
    .catch((error: unknown): Answer => ({ error: String(error) }))
    .then((answer) => {
      process.send?.(answer);
      if (order.kind === "stop") process.disconnect();
    });
});
// The parent is gone: so is the benchmark.
process.on("disconnect", () => process.exit(0));
