// The services of proto/ as gRPC-js wants them, from the functions of seams.ts.
import type { ServerDuplexStream } from "@grpc/grpc-js";
import type { AdminServer } from "../../proto/gen/admin.js";
import type { CertificateAuthorityServer } from "../../proto/gen/ca.js";
import type { ControlServer } from "../../proto/gen/control.js";
import type { AgentMessage, DispatcherServer, ManagerMessage } from "../../proto/gen/dispatcher.js";
import type { RaftServer } from "../../proto/gen/raft.js";
import type { AdminApi, AuthorityApi, ControlApi, DispatcherApi, MembershipApi } from "../seams.js";
import { answer, callerOf, type ServeContext, serverStream, unary, writeTo } from "./serve.js";

/**
 * The API of the moment: a manager serves its sockets before, between and after its membership. Throws
 * Refused when there is none.
 */
type Current<Api> = () => Api;

export function controlServer(context: ServeContext, api: Current<ControlApi>): ControlServer {
  return {
    getCluster: unary(context, (request, caller) => api().getCluster(request, caller)),
    updateCluster: unary(context, (request, caller) => api().updateCluster(request, caller)),
    listNodes: unary(context, (request, caller) => api().listNodes(request, caller)),
    updateNode: unary(context, (request, caller) => api().updateNode(request, caller)),
    removeNode: unary(context, (request, caller) => api().removeNode(request, caller)),
    listNetworks: unary(context, (request, caller) => api().listNetworks(request, caller)),
    createNetwork: unary(context, (request, caller) => api().createNetwork(request, caller)),
    removeNetwork: unary(context, (request, caller) => api().removeNetwork(request, caller)),
    listEndpoints: unary(context, (request, caller) => api().listEndpoints(request, caller)),
    watchEvents: serverStream(context, (_request, caller) => api().watchEvents(caller)),
    probeNetwork: serverStream(context, (request, caller) => api().probeNetwork(request, caller)),
  };
}

export function adminServer(context: ServeContext, api: AdminApi): AdminServer {
  return {
    init: unary(context, api.init),
    join: unary(context, api.join),
    setIdentity: unary(context, api.setIdentity),
    status: unary(context, api.status),
    leave: unary(context, api.leave),
  };
}

export function authorityServer(
  context: ServeContext,
  api: Current<AuthorityApi>,
): CertificateAuthorityServer {
  return {
    issueCertificate: unary(context, (request, caller) => api().issueCertificate(request, caller)),
  };
}

export function raftServer(
  context: ServeContext,
  api: Current<MembershipApi>,
  step: Current<RaftServer["step"]>,
): RaftServer {
  return {
    step(call, callback) {
      try {
        step()(call, callback);
      } catch (error) {
        callback(answer(error, context.log));
      }
    },
    join: unary(context, (request, caller) => api().join(request, caller)),
    leave: unary(context, (request, caller) => api().leave(request, caller)),
  };
}

export function dispatcherServer(
  context: ServeContext,
  api: Current<DispatcherApi>,
): DispatcherServer {
  return {
    session: (call) => serveSession(context, api, call),
    attach: unary(context, (request, caller) => api().attach(request, caller)),
    detach: unary(context, (request, caller) => api().detach(request, caller)),
    findNetwork: unary(context, (request, caller) => api().findNetwork(request, caller)),
    leave: unary(context, (request, caller) => api().leave(request, caller)),
  };
}

function serveSession(
  context: ServeContext,
  api: Current<DispatcherApi>,
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
