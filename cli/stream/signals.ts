// Signals that come to a foreground `run` go to the process that it runs.
import type { Cli } from "../cli.js";

const FORWARDED: readonly NodeJS.Signals[] = [
  "SIGINT",
  "SIGTERM",
  "SIGHUP",
  "SIGQUIT",
  "SIGUSR1",
  "SIGUSR2",
];

// Docker's number: a person who presses Ctrl-C this often wants out, whatever the process does.
const IMPATIENT_COUNT = 3;

export interface ProxyOptions {
  /** Called when the person insists. */
  readonly giveUp: () => void;
}

/** Returns how to stop forwarding. */
export function proxySignals(cli: Cli, containerId: string, { giveUp }: ProxyOptions): () => void {
  let stops = 0;
  const forget = FORWARDED.map((name) =>
    cli.onSignal(name, () => {
      if (name === "SIGINT" || name === "SIGTERM") stops++;
      if (stops >= IMPATIENT_COUNT) {
        cli.err.write(`\ngot ${IMPATIENT_COUNT} SIGTERM/SIGINTs, forcefully exiting\n`);
        giveUp();
        return;
      }
      // The process may have ended by itself a moment ago; the wait will say so.
      cli.api
        .post(`/containers/${containerId}/kill`, { query: { signal: name } })
        .catch(() => undefined);
    }),
  );
  return () => {
    for (const one of forget) one();
  };
}
