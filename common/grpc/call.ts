// Client calls with a deadline and an abort signal, answering values.
import type { CallOptions, ClientUnaryCall, Metadata, ServiceError } from "@grpc/grpc-js";
import { Metadata as EmptyMetadata } from "@grpc/grpc-js";
import type { Refusal } from "../fault.js";
import { Fault } from "../fault.js";
import { refusalOrFault } from "./status.js";

/** The generated clients' method shape. */
export type UnaryMethod<Request, Response> = (
  request: Request,
  metadata: Metadata,
  options: Partial<CallOptions>,
  callback: (error: ServiceError | null, response: Response) => void,
) => ClientUnaryCall;

export interface CallSettings {
  /** For messages: whom the call goes to. */
  readonly addr: string;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  readonly metadata?: Metadata;
  /** Sees the raw error first (a redirect in its trailers, say). */
  readonly onError?: (error: ServiceError) => void;
}

/**
 * The answer, or the manager's Refusal. Throws Fault RPC_UNREACHABLE (data `sent` says whether the
 * request may have been done), RPC_DEADLINE, RPC_CANCELLED or RPC_FAILED. Call as
 * `callUnary(client.createNetwork.bind(client), request, …)`.
 */
export function callUnary<Request, Response>(
  method: UnaryMethod<Request, Response>,
  request: Request,
  settings: CallSettings,
): Promise<Response | Refusal> {
  const { addr, timeoutMs, signal } = settings;
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(new Fault("RPC_CANCELLED", { addr }, signal.reason));
    const onAbort = () => call.cancel();
    const metadata = settings.metadata ?? new EmptyMetadata();
    const call = method(request, metadata, { deadline: Date.now() + timeoutMs }, (error, value) => {
      signal?.removeEventListener("abort", onAbort);
      if (!error) return resolve(value);
      settings.onError?.(error);
      const outcome = refusalOrFault(error, addr);
      if (outcome instanceof Fault) reject(outcome);
      else resolve(outcome);
    });
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}
