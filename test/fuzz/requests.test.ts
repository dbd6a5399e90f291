// What comes to a manager's services, before any of it is understood: messages of every kind, mutated, and frames
// that are no gRPC.
import { connect } from "node:http2";
import { gzipSync } from "node:zlib";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { afterEach, expect, test } from "vitest";
import { localServerOptions } from "../../common/grpc/channel.js";
import { silentLogger } from "../../common/log.js";
import { dispatcherServer } from "../../manager/grpc/services.js";
import type { DispatcherApi } from "../../manager/seams.js";
import { AdminService } from "../../proto/gen/admin.js";
import { CertificateAuthorityService, IssueCertificateRequest } from "../../proto/gen/ca.js";
import {
  ControlService,
  CreateNetworkRequest,
  CreateServiceRequest,
  UpdateClusterRequest,
} from "../../proto/gen/control.js";
import { AgentMessage, DispatcherService, Hello, LogBatch } from "../../proto/gen/dispatcher.js";
import { RaftService } from "../../proto/gen/raft.js";
import { Batch } from "../../proto/gen/store.js";
import { fuzz } from "../fakes/mutations.js";
import { serviceSpec } from "../fakes/services.js";
import { SwarmState } from "../fakes/swarm-state.js";

const SERVICES = [
  AdminService,
  CertificateAuthorityService,
  ControlService,
  DispatcherService,
  RaftService,
];

interface Method {
  readonly path: string;
  readonly requestDeserialize: (bytes: Buffer) => unknown;
  readonly requestSerialize: (request: never) => Buffer;
}

const METHODS = SERVICES.flatMap((service) => Object.values(service) as readonly Method[]);

/** Requests with something in most kinds of field: texts, maps, lists, numbers, one of several. */
const GOOD = [
  CreateServiceRequest.encode({
    spec: serviceSpec(
      { labels: { a: "b" }, task: { networks: [{ target: "net", aliases: ["x"] }] } },
      { env: ["A=b"], sysctls: { "net.ipv4.ip_forward": "1" }, secrets: [{ secretName: "s" }] },
    ),
  }),
  CreateNetworkRequest.encode(
    CreateNetworkRequest.fromPartial({
      spec: { name: "net", driverOpts: { encrypted: "" }, ipam: [{ subnet: "10.0.0.0/24" }] },
    }),
  ),
  UpdateClusterRequest.encode(
    UpdateClusterRequest.fromPartial({ version: 7, spec: { certExpiryMs: 3_600_000 } }),
  ),
  AgentMessage.encode({
    message: {
      $case: "hello",
      value: Hello.fromPartial({ dataPathAddr: "10.0.0.1", revision: 300, clusterId: "c" }),
    },
  }),
  IssueCertificateRequest.encode(
    IssueCertificateRequest.fromPartial({ csr: Buffer.alloc(200, 1), token: "SWMTKN-1-a-b" }),
  ),
].map((writer) => Buffer.from(writer.finish()));

test("a request is read, and is then one that can be sent on, or fails with an error", async () => {
  const before = Object.getOwnPropertyNames(Object.prototype).join();
  const seen = { read: 0, failed: 0 };
  await fuzz({ from: GOOD, count: 3_000 }, (bytes, random) => {
    const method = METHODS[random.below(METHODS.length)] as Method;
    let request: unknown;
    try {
      request = method.requestDeserialize(bytes);
    } catch (error) {
      expect(error, method.path).toBeInstanceOf(Error);
      seen.failed++;
      return;
    }
    seen.read++;
    const again = method.requestSerialize(request as never);
    expect(method.requestSerialize(method.requestDeserialize(again) as never)).toEqual(again);
  });
  expect(Object.getOwnPropertyNames(Object.prototype).join()).toBe(before);
  expect(Math.min(seen.read, seen.failed)).toBeGreaterThan(100);
});

test("an entry of the store's that is none is read or fails with an error", async () => {
  const swarm = new SwarmState();
  swarm.node("h1");
  swarm.network({ name: "net" });
  const good = swarm.log.map(({ data }) => data);
  await fuzz({ from: good, count: 1_500 }, (bytes) => {
    try {
      Batch.decode(bytes);
    } catch (error) {
      expect(error).toBeInstanceOf(Error);
    }
  });
});

const closes: (() => void)[] = [];
afterEach(() => {
  for (const close of closes.splice(0)) close();
});

/** A server of Dispatcher.PublishLogs alone; answers its port, and keeps what arrives. */
async function listening(arrived: LogBatch[]): Promise<number> {
  const server = new Server(localServerOptions());
  const api = {
    publishLogs: async (_: unknown, incoming: AsyncIterable<LogBatch>) => {
      for await (const batch of incoming) arrived.push(batch);
      return {};
    },
  };
  const context = { local: true, log: silentLogger() };
  const services = dispatcherServer(context, () => api as unknown as DispatcherApi);
  server.addService(DispatcherService, services);
  closes.push(() => server.forceShutdown());
  const insecure = ServerCredentials.createInsecure();
  return new Promise((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", insecure, (error, port) =>
      error ? reject(error) : resolve(port),
    );
  });
}

const RESOURCE_EXHAUSTED = "8";

/** gRPC over HTTP/2: one byte "compressed", four of length, the message. */
function framed(message: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

test("a server that was sent frames that are none goes on serving", async () => {
  const arrived: LogBatch[] = [];
  const session = connect(`http://127.0.0.1:${await listening(arrived)}`);
  session.on("error", () => {});
  closes.push(() => session.destroy());
  /** Answers the status that the call ended with. */
  const send = (body: Buffer, more: Readonly<Record<string, string>> = {}) =>
    new Promise<string>((resolve) => {
      const headers = { ":method": "POST", "content-type": "application/grpc", te: "trailers" };
      const call = session.request({
        ...headers,
        ":path": DispatcherService.publishLogs.path,
        ...more,
      });
      let status = "";
      const note = (found: object) => {
        status = String((found as Record<string, unknown>)["grpc-status"] ?? status);
      };
      call.on("response", note);
      call.on("trailers", note);
      call.on("error", () => {});
      call.on("close", () => resolve(status));
      call.resume();
      call.end(body);
    });
  const good = framed(LogBatch.encode(LogBatch.fromPartial({ subscriptionId: 7 })).finish());
  await fuzz({ from: [good, Buffer.concat([good, good])], count: 120 }, async (bytes) => {
    await send(bytes);
  });
  // Longer than any message may be, as it says, or when it is unpacked: refused before it is there.
  expect(await send(Buffer.from([0, 0xff, 0xff, 0xff, 0xff]))).toBe(RESOURCE_EXHAUSTED);
  const bomb = framed(gzipSync(Buffer.alloc(64 * 2 ** 20)));
  bomb[0] = 1;
  expect(await send(bomb, { "grpc-encoding": "gzip" })).toBe(RESOURCE_EXHAUSTED);
  const before = arrived.length;
  expect(await send(good)).toBe("0");
  expect(arrived.length).toBe(before + 1);
});
