// The two places where a manager listens: port 2377 under mutual TLS, and the unix socket that only the
// node's own agent can open.
import type { TLSSocket } from "node:tls";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import type { ProvenPeer } from "../../common/certificates.js";
import { type Refusal, Refused } from "../../common/fault.js";
import { keepAliveOptions, ownSocketOptions } from "../../common/grpc/channel.js";
import { admissionInterceptor, socketIdentity } from "../../common/grpc/peer-identity.js";
import { statusOf } from "../../common/grpc/status.js";
import type { Logger } from "../../common/log.js";
import { AdminService, type Identity, type PortCounters } from "../../proto/gen/admin.js";
import { CertificateAuthorityService } from "../../proto/gen/ca.js";
import { ControlService } from "../../proto/gen/control.js";
import { RaftService } from "../../proto/gen/raft.js";
import { RAFT_MESSAGES } from "../ca/admission.js";
import type { AdminApi, AuthorityApi, ControlApi, DispatcherApi, MembershipApi } from "../seams.js";
import { refuseRaft } from "../wire/raft-receiver.js";
import { listenUnix } from "./serve.js";
import {
  adminServer,
  authorityServer,
  controlServer,
  dispatcherServer,
  raftServer,
} from "./services.js";
import { SharedDispatcherService } from "./shared-bytes.js";
import { listenForSwarm } from "./swarm-listener.js";

// Choice: how long calls under way may take to end when a socket closes.
const DRAIN_MS = 500;
// An agent has one stream and a few calls; a manager a few dozen forwarded ones.
const STREAMS_MAX = 1_000;

export interface SwarmServices {
  readonly control: ControlApi;
  readonly dispatcher: DispatcherApi;
  readonly authority: AuthorityApi;
  readonly membership: MembershipApi;
  /** Takes over a connection for Raft's messages, of a peer that was admitted. */
  readonly raft: (socket: TLSSocket, peer: ProvenPeer | undefined) => void;
}

export interface SwarmPortOptions {
  readonly listenAddr: string;
  readonly identity: Identity;
  readonly scale: number;
  readonly log: Logger;
  /** Throws Refused while there are none. */
  readonly services: () => SwarmServices;
  readonly admit: (path: string, peer: ProvenPeer | undefined) => Refusal | undefined;
  readonly isBarred: (nodeId: string) => boolean;
}

export interface SwarmPort {
  /** New connections show this identity from now on. */
  renew(identity: Identity): void;
  /** Ends the connections of nodes that are barred by now. */
  cutBarred(): void;
  counters(): PortCounters;
  close(): Promise<void>;
}

/** Listens on 2377. Fault LISTEN names address and cause. */
export async function openSwarmPort(options: SwarmPortOptions): Promise<SwarmPort> {
  const context = { local: false, log: options.log };
  const { services } = options;
  const server = new Server({
    ...keepAliveOptions(options.scale),
    "grpc.max_concurrent_streams": STREAMS_MAX,
    interceptors: [admissionInterceptor(options.admit)],
  });
  server.addService(
    ControlService,
    controlServer({ ...context, forwardedOnly: true }, () => services().control),
  );
  server.addService(
    SharedDispatcherService,
    dispatcherServer(context, () => services().dispatcher),
  );
  server.addService(
    CertificateAuthorityService,
    authorityServer(context, () => services().authority),
  );
  server.addService(
    RaftService,
    raftServer(context, () => services().membership),
  );
  // TLS is done when a connection gets here; the library finds what was proven on the socket itself.
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  try {
    const { listenAddr, identity, scale, isBarred } = options;
    const onSocket = (socket: TLSSocket) => injector.injectConnection(socket);
    const listener = await listenForSwarm({
      listenAddr,
      identity,
      scale,
      isBarred,
      onSocket,
      onRaft: (socket) => takeRaft(socket, options),
    });
    return {
      renew: (renewed) => listener.renew(renewed),
      cutBarred: () => listener.cutBarred(),
      counters: () => listener.counters(),
      async close() {
        listener.stop();
        await shutdown(server);
        listener.destroy();
      },
    };
  } catch (error) {
    server.forceShutdown();
    throw error;
  }
}

/** As for a call, the peer is looked at before any byte of its messages. */
function takeRaft(socket: TLSSocket, { admit, services }: SwarmPortOptions): void {
  const peer = socketIdentity(socket);
  try {
    const refusal = admit(RAFT_MESSAGES, peer);
    if (refusal) throw new Refused(refusal);
    services().raft(socket, peer);
  } catch (error) {
    const { code, details = "" } = statusOf(error);
    refuseRaft(socket, { code, details });
  }
}

/** Listens on the node's own socket. Fault LISTEN. */
export async function openLocalSocket(
  path: string,
  admin: AdminApi,
  control: () => ControlApi | Promise<ControlApi>,
  log: Logger,
): Promise<() => Promise<void>> {
  const context = { local: true, log };
  const server = new Server(ownSocketOptions());
  server.addService(AdminService, adminServer(context, admin));
  server.addService(ControlService, controlServer(context, control));
  await listenUnix(server, path);
  return () => shutdown(server);
}

async function shutdown(server: Server): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(() => {
      server.forceShutdown();
      resolve();
    }, DRAIN_MS);
    server.tryShutdown(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
