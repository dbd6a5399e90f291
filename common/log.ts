// Logs are JSON, one object a line, on standard error; the message is constant text and the facts are
// fields: node, network, vni, task, endpoint, peer, err. No secret is ever a field.
import { type Logger, pino } from "pino";

export type { Logger };

export function createLogger(name: string, level: string): Logger {
  return pino(
    { name, level, base: { name }, errorKey: "err", timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ fd: 2, sync: true }),
  );
}

/** For tests and for code that was given no logger. */
export function silentLogger(): Logger {
  return pino({ level: "silent" });
}
