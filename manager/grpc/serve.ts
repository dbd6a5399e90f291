// Turns the services' functions into gRPC handlers, and opens servers. Decides nothing.
import { chmod, rm } from "node:fs/promises";
import {
  type handleClientStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  type Metadata,
  type Server,
  ServerCredentials,
  type ServerUnaryCall,
  type StatusObject,
} from "@grpc/grpc-js";
import { Fault, isRefusal, messageOf, Refused, refuse } from "../../common/fault.js";
import { peerIdentity } from "../../common/grpc/peer-identity.js";
import { statusOf } from "../../common/grpc/status.js";
import type { Logger } from "../../common/log.js";
import { firstTold } from "../../common/watch.js";
import { Role } from "../../proto/gen/types.js";
import type { Caller, Unary } from "../seams.js";
import { bindWords } from "./swarm-listener.js";

/** Metadata key of a request that a manager sends on. Believed only from a manager. */
export const FORWARDED = "skein-forwarded";
/** Metadata key beside it: the id that the first manager chose, so that asking twice makes one object. */
export const REQUEST_ID = "skein-request-id";

export interface ServeContext {
  /** Whether this is the node's own unix socket. */
  readonly local: boolean;
  readonly log: Logger;
  /**
   * Nothing is taken but what a manager sends on for one of its own: only the leader answers that, and it knows who
   * manages. One that lags would take a manager that was removed for one, and speak for it.
   */
  readonly forwardedOnly?: boolean;
}

/** What every kind of server call has. */
type AnyCall = Pick<
  ServerUnaryCall<unknown, unknown>,
  "getAuthContext" | "getPeer" | "metadata"
> & {
  once(event: "cancelled", listener: () => void): unknown;
};

/** What every kind of server call that sends a stream has. */
interface Sending<Response> {
  write(message: Response): boolean;
  once(event: "drain", listener: () => void): unknown;
  off(event: "drain", listener: () => void): unknown;
}

export function callerOf(call: AnyCall, context: ServeContext): Caller {
  const gone = new AbortController();
  call.once("cancelled", () => gone.abort(new Fault("CALLER_GONE")));
  const peer = context.local ? undefined : peerIdentity(call);
  const forwarded = peer?.role === Role.MANAGER && textOf(call.metadata, FORWARDED) !== "";
  return {
    peer,
    local: context.local,
    forwarded,
    requestId: forwarded ? textOf(call.metadata, REQUEST_ID) : "",
    remoteAddr: hostOf(call.getPeer()),
    signal: gone.signal,
  };
}

export function unary<Request, Response>(
  context: ServeContext,
  run: Unary<Request, Response>,
): handleUnaryCall<Request, Response> {
  return (call, callback) => {
    const caller = callerOf(call, context);
    const respond = async () => {
      mustBeMeant(caller, context);
      const result = await run(call.request, caller);
      if (isRefusal(result)) throw new Refused(result);
      callback(null, result);
    };
    respond().catch((error: unknown) => callback(answer(error, context.log)));
  };
}

export function serverStream<Request, Response>(
  context: ServeContext,
  run: (request: Request, caller: Caller) => AsyncIterable<Response>,
): handleServerStreamingCall<Request, Response> {
  return (call) => {
    const caller = callerOf(call, context);
    const send = async () => {
      mustBeMeant(caller, context);
      for await (const message of run(call.request, caller)) {
        if (caller.signal.aborted) return;
        await writeTo(call, message, caller.signal);
      }
      call.end();
    };
    send().catch((error: unknown) => {
      if (!caller.signal.aborted) call.emit("error", answer(error, context.log));
    });
  };
}

function mustBeMeant(caller: Caller, context: ServeContext): void {
  if (!context.forwardedOnly || caller.forwarded) return;
  throw new Refused(refuse("permission-denied", "a manager is asked on its node's own socket"));
}

export function clientStream<Request, Response>(
  context: ServeContext,
  run: (incoming: AsyncIterable<Request>, caller: Caller) => Promise<Response>,
): handleClientStreamingCall<Request, Response> {
  return (call, callback) => {
    run(call, callerOf(call, context)).then(
      (response) => callback(null, response),
      (error: unknown) => callback(answer(error, context.log)),
    );
  };
}

/** Resolves when the stream can take more; rejects when the caller has gone. */
export async function writeTo<Response>(
  call: Sending<Response>,
  message: Response,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted();
  if (call.write(message)) return;
  await firstTold<void>((go) => {
    call.once("drain", go);
    return () => void call.off("drain", go);
  }, signal);
}

/** The status of whatever a handler threw; what is not a Refusal is logged here, once. */
export function answer(error: unknown, log: Logger): Partial<StatusObject> {
  if (!(error instanceof Refused) && !(error instanceof Fault && error.code === "CALLER_GONE")) {
    const stack = error instanceof Error ? error.stack : undefined;
    log.error({ err: messageOf(error), stack }, "request failed");
  }
  return statusOf(error);
}

/** A socket file only its owner can open; a file left by a process that died is replaced. */
export async function listenUnix(server: Server, path: string): Promise<void> {
  await rm(path, { force: true });
  try {
    await bind(server, `unix:${path}`, ServerCredentials.createInsecure());
    await chmod(path, 0o600);
  } catch (error) {
    throw new Fault("LISTEN", { addr: path, why: bindWords(messageOf(error)) }, error);
  }
}

function bind(server: Server, addr: string, credentials: ServerCredentials): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(addr, credentials, (error, port) => (error ? reject(error) : resolve(port)));
  });
}

function textOf(metadata: Metadata, key: string): string {
  const [value] = metadata.get(key);
  return typeof value === "string" ? value : "";
}

/** "10.0.0.1:1234" and "[::1]:1234" without the port; a unix socket has none. */
function hostOf(peer: string): string {
  const host = /^\[?(.*?)\]?:\d+$/.exec(peer)?.[1] ?? "";
  return host.replace(/^::ffff:/, "");
}
