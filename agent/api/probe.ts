// The manager's stream of measured pairs, as an async iterable that ends with the client's interest.
import type { ServiceError } from "@grpc/grpc-js";
import { Fault, Refused } from "../../common/fault.js";
import { refusalOrFault } from "../../common/grpc/status.js";
import type { ControlClient, ProbeRequest, ProbeResult } from "../../proto/gen/control.js";

const ADDR = "this node's manager";

export async function* probe(
  client: ControlClient,
  request: ProbeRequest,
  signal: AbortSignal,
): AsyncGenerator<ProbeResult> {
  const call = client.probeNetwork(request);
  const cancel = () => call.cancel();
  signal.addEventListener("abort", cancel, { once: true });
  try {
    for await (const result of call) yield result as ProbeResult;
  } catch (error) {
    if (signal.aborted) return;
    const outcome = refusalOrFault(error as ServiceError, ADDR);
    throw outcome instanceof Fault ? outcome : new Refused(outcome);
  } finally {
    signal.removeEventListener("abort", cancel);
    call.cancel();
  }
}
