// The services of proto/ as gRPC-js wants them, from the functions of seams.ts.
import type { ServerDuplexStream } from "@grpc/grpc-js";
import type { CertificateAuthorityServer } from "../../proto/gen/ca.js";
import type { ControlServer } from "../../proto/gen/control.js";
import type { AgentMessage, DispatcherServer, ManagerMessage } from "../../proto/gen/dispatcher.js";
import type { RaftServer } from "../../proto/gen/raft.js";
import type { AuthorityApi, ControlApi, DispatcherApi, MembershipApi } from "../seams.js";
import { answer, callerOf, type ServeContext, serverStream, unary, writeTo } from "./serve.js";

export function controlServer(context: ServeContext, api: ControlApi): ControlServer {
  return {
    getCluster: unary(context, api.getCluster),
    updateCluster: unary(context, api.updateCluster),
    listNodes: unary(context, api.listNodes),
    updateNode: unary(context, api.updateNode),
    removeNode: unary(context, api.removeNode),
    listNetworks: unary(context, api.listNetworks),
    createNetwork: unary(context, api.createNetwork),
    removeNetwork: unary(context, api.removeNetwork),
    listEndpoints: unary(context, api.listEndpoints),
    watchEvents: serverStream(context, (_request, caller) => api.watchEvents(caller)),
    probeNetwork: serverStream(context, (request, caller) => api.probeNetwork(request, caller)),
  };
}

export function authorityServer(
  context: ServeContext,
  api: AuthorityApi,
): CertificateAuthorityServer {
  return { issueCertificate: unary(context, api.issueCertificate) };
}

export function raftServer(
  context: ServeContext,
  api: MembershipApi,
  step: RaftServer["step"],
): RaftServer {
  return { step, join: unary(context, api.join), leave: unary(context, api.leave) };
}

export function dispatcherServer(context: ServeContext, api: DispatcherApi): DispatcherServer {
  return {
    session: (call) => serveSession(context, api, call),
    attach: unary(context, api.attach),
    detach: unary(context, api.detach),
    findNetwork: unary(context, api.findNetwork),
    leave: unary(context, api.leave),
  };
}

function serveSession(
  context: ServeContext,
  api: DispatcherApi,
  call: ServerDuplexStream<AgentMessage, ManagerMessage>,
): void {
  const caller = callerOf(call, context);
  const { signal } = caller;
  api
    .session(caller, call, (message) => writeTo(call, message, signal))
    .then(() => call.end())
    .catch((error: unknown) => {
      // A stream whose other end has gone has nobody to tell.
      if (!signal.aborted) call.emit("error", answer(error, context.log));
    });
}
