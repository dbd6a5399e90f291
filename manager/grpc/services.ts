// The services of proto/ as gRPC-js wants them, from the functions of seams.ts.
import type { ServerDuplexStream } from "@grpc/grpc-js";
import type { AdminServer } from "../../proto/gen/admin.js";
import type { CertificateAuthorityServer } from "../../proto/gen/ca.js";
import type { ControlServer } from "../../proto/gen/control.js";
import type { AgentMessage, DispatcherServer, ManagerMessage } from "../../proto/gen/dispatcher.js";
import type { RaftServer } from "../../proto/gen/raft.js";
import type { AdminApi, AuthorityApi, ControlApi, DispatcherApi, MembershipApi } from "../seams.js";
import {
  answer,
  callerOf,
  clientStream,
  type ServeContext,
  serverStream,
  unary,
  writeTo,
} from "./serve.js";

// `api` is the one of the moment: a manager serves its sockets before, between and after its
// memberships. It throws Refused when there is none.

export function controlServer(
  context: ServeContext,
  api: () => ControlApi | Promise<ControlApi>,
): ControlServer {
  return {
    getCluster: unary(context, async (request, caller) =>
      (await api()).getCluster(request, caller),
    ),
    getUnlockKey: unary(context, async (request, caller) =>
      (await api()).getUnlockKey(request, caller),
    ),
    updateCluster: unary(context, async (request, caller) =>
      (await api()).updateCluster(request, caller),
    ),
    listNodes: unary(context, async (request, caller) => (await api()).listNodes(request, caller)),
    updateNode: unary(context, async (request, caller) =>
      (await api()).updateNode(request, caller),
    ),
    removeNode: unary(context, async (request, caller) =>
      (await api()).removeNode(request, caller),
    ),
    listNetworks: unary(context, async (request, caller) =>
      (await api()).listNetworks(request, caller),
    ),
    createNetwork: unary(context, async (request, caller) =>
      (await api()).createNetwork(request, caller),
    ),
    removeNetwork: unary(context, async (request, caller) =>
      (await api()).removeNetwork(request, caller),
    ),
    createService: unary(context, async (request, caller) =>
      (await api()).createService(request, caller),
    ),
    updateService: unary(context, async (request, caller) =>
      (await api()).updateService(request, caller),
    ),
    removeService: unary(context, async (request, caller) =>
      (await api()).removeService(request, caller),
    ),
    getService: unary(context, async (request, caller) =>
      (await api()).getService(request, caller),
    ),
    listServices: unary(context, async (request, caller) =>
      (await api()).listServices(request, caller),
    ),
    getTask: unary(context, async (request, caller) => (await api()).getTask(request, caller)),
    listTasks: unary(context, async (request, caller) => (await api()).listTasks(request, caller)),
    createSecret: unary(context, async (request, caller) =>
      (await api()).createSecret(request, caller),
    ),
    updateSecret: unary(context, async (request, caller) =>
      (await api()).updateSecret(request, caller),
    ),
    removeSecret: unary(context, async (request, caller) =>
      (await api()).removeSecret(request, caller),
    ),
    listSecrets: unary(context, async (request, caller) =>
      (await api()).listSecrets(request, caller),
    ),
    createConfig: unary(context, async (request, caller) =>
      (await api()).createConfig(request, caller),
    ),
    updateConfig: unary(context, async (request, caller) =>
      (await api()).updateConfig(request, caller),
    ),
    removeConfig: unary(context, async (request, caller) =>
      (await api()).removeConfig(request, caller),
    ),
    listConfigs: unary(context, async (request, caller) =>
      (await api()).listConfigs(request, caller),
    ),
    listPolicies: unary(context, async (request, caller) =>
      (await api()).listPolicies(request, caller),
    ),
    allowPolicy: unary(context, async (request, caller) =>
      (await api()).allowPolicy(request, caller),
    ),
    removePolicy: unary(context, async (request, caller) =>
      (await api()).removePolicy(request, caller),
    ),
    listEndpoints: unary(context, async (request, caller) =>
      (await api()).listEndpoints(request, caller),
    ),
    watchEvents: serverStream(context, async function* (_request, caller) {
      yield* (await api()).watchEvents(caller);
    }),
    serviceLogs: serverStream(context, async function* (request, caller) {
      yield* (await api()).serviceLogs(request, caller);
    }),
    checkSwarm: serverStream(context, async function* (request, caller) {
      yield* (await api()).checkSwarm(request, caller);
    }),
    inquire: serverStream(context, async function* (request, caller) {
      yield* (await api()).inquire(request, caller);
    }),
    probeNetwork: serverStream(context, async function* (request, caller) {
      yield* (await api()).probeNetwork(request, caller);
    }),
  };
}

export function adminServer(context: ServeContext, api: AdminApi): AdminServer {
  return {
    init: unary(context, api.init),
    join: unary(context, api.join),
    setIdentity: unary(context, api.setIdentity),
    confirmSeat: unary(context, api.confirmSeat),
    setAddr: unary(context, api.setAddr),
    backup: unary(context, api.backup),
    restore: unary(context, api.restore),
    recover: unary(context, api.recover),
    renewExpired: unary(context, api.renewExpired),
    status: unary(context, api.status),
    reports: unary(context, api.reports),
    leave: unary(context, api.leave),
    unlock: unary(context, api.unlock),
    keys: unary(context, api.keys),
  };
}

export function authorityServer(
  context: ServeContext,
  api: () => AuthorityApi,
): CertificateAuthorityServer {
  return {
    issueCertificate: unary(context, (request, caller) => api().issueCertificate(request, caller)),
  };
}

export function raftServer(context: ServeContext, api: () => MembershipApi): RaftServer {
  return {
    join: unary(context, (request, caller) => api().join(request, caller)),
    leave: unary(context, (request, caller) => api().leave(request, caller)),
    hasSeat: unary(context, (request, caller) => api().hasSeat(request, caller)),
    setAddr: unary(context, (request, caller) => api().setAddr(request, caller)),
    report: unary(context, (request, caller) => api().report(request, caller)),
  };
}

export function dispatcherServer(
  context: ServeContext,
  api: () => DispatcherApi,
): DispatcherServer {
  return {
    session: (call) => serveSession(context, api, call),
    attach: unary(context, (request, caller) => api().attach(request, caller)),
    detach: unary(context, (request, caller) => api().detach(request, caller)),
    findNetwork: unary(context, (request, caller) => api().findNetwork(request, caller)),
    leave: unary(context, (request, caller) => api().leave(request, caller)),
    settle: unary(context, (request, caller) => api().settle(request, caller)),
    publishLogs: clientStream(context, (incoming, caller) => api().publishLogs(caller, incoming)),
    publishInquiry: clientStream(context, (incoming, caller) =>
      api().publishInquiry(caller, incoming),
    ),
  };
}

function serveSession(
  context: ServeContext,
  api: () => DispatcherApi,
  call: ServerDuplexStream<AgentMessage, ManagerMessage>,
): void {
  const caller = callerOf(call, context);
  const { signal } = caller;
  const serve = async () => {
    await api().session(caller, call, (message) => writeTo(call, message, signal));
    call.end();
  };
  serve().catch((error: unknown) => {
    // A stream whose other end has gone has nobody to tell.
    if (!signal.aborted) call.emit("error", answer(error, context.log));
  });
}
