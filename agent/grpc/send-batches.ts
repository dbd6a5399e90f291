// Dispatcher.PublishLogs and its like: batches as fast as the manager takes them.
import { once } from "node:events";
import type { ClientWritableStream } from "@grpc/grpc-js";

/** Ends with the batches, with the signal, or when the manager wants no more; never throws. */
export async function sendBatches<Batch>(
  open: (answered: () => void) => ClientWritableStream<Batch>,
  batches: AsyncIterable<Batch>,
  signal: AbortSignal,
): Promise<void> {
  const over = new AbortController();
  const answered = new Promise<void>((resolve) => {
    over.signal.addEventListener("abort", () => resolve(), { once: true });
  });
  // Whatever the answer is, a failure too, nobody reads any more.
  const call = open(() => over.abort());
  call.on("error", () => {});
  const cancel = () => call.cancel();
  signal.addEventListener("abort", cancel, { once: true });
  if (signal.aborted) cancel();
  const iterator = batches[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await Promise.race([iterator.next(), answered]);
      if (next === undefined || next.done === true) break;
      if (!call.write(next.value)) {
        await Promise.race([once(call, "drain", { signal: over.signal }), answered]).catch(
          () => {},
        );
      }
    }
    call.end();
    await answered;
  } catch {
    call.cancel();
  } finally {
    signal.removeEventListener("abort", cancel);
    // Not awaited: what is waiting inside is ended by the owner of the batches.
    void iterator.return?.().catch(() => {});
  }
}
