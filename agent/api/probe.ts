// Asking the managers for what comes as a stream: measurements, and what is wrong where.
import type { ClientReadableStream, ServiceError } from "@grpc/grpc-js";
import { Fault, Refused } from "../../common/fault.js";
import { refusalOrFault } from "../../common/grpc/status.js";
import type {
  CheckRequest,
  ControlClient,
  NodeCheck,
  ProbeRequest,
  ProbeResult,
} from "../../proto/gen/control.js";

const ADDR = "this node's manager";

export function probe(
  client: ControlClient,
  request: ProbeRequest,
  signal: AbortSignal,
): AsyncGenerator<ProbeResult> {
  return streamed(client.probeNetwork(request), signal);
}

export function check(
  client: ControlClient,
  request: CheckRequest,
  signal: AbortSignal,
): AsyncGenerator<NodeCheck> {
  return streamed(client.checkSwarm(request), signal);
}

/** Until the stream or the signal ends. Throws what the manager refuses. */
export async function* streamed<T>(
  call: ClientReadableStream<T>,
  signal: AbortSignal,
): AsyncGenerator<T> {
  const cancel = () => call.cancel();
  signal.addEventListener("abort", cancel, { once: true });
  try {
    for await (const each of call) yield each as T;
  } catch (error) {
    if (signal.aborted) return;
    const outcome = refusalOrFault(error as ServiceError, ADDR);
    throw outcome instanceof Fault ? outcome : new Refused(outcome);
  } finally {
    signal.removeEventListener("abort", cancel);
    call.cancel();
  }
}
