// What Ctrl-C does to a wait: it ends the wait, and the program with the exit code that shells
// give to an interrupted command.
import { type Cli, Failure } from "../cli.js";

/** 128 + SIGINT. */
export const INTERRUPTED_EXIT = 130;

/** Runs `body` with a signal that Ctrl-C (or SIGTERM) aborts. */
export async function interruptible<T>(
  cli: Cli,
  body: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const stop = new AbortController();
  const forget = [
    cli.onSignal("SIGINT", () => stop.abort()),
    cli.onSignal("SIGTERM", () => stop.abort()),
  ];
  try {
    const result = await body(stop.signal);
    stop.signal.throwIfAborted();
    return result;
  } catch (error) {
    // How an interrupted wait broke off is nobody's concern.
    if (stop.signal.aborted) throw new Failure("", INTERRUPTED_EXIT);
    throw error;
  } finally {
    for (const one of forget) one();
  }
}
