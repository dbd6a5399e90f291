// A container's log on disk: Docker's json-file format, one JSON object a line,
//   {"log":"line\n","stream":"stdout","time":"2026-11-21T05:28:43.123456000Z"}
// in `log.json`, with older files as `log.json.1`, `log.json.2`.
import { join } from "node:path";

export interface LogLine {
  /** With its line feed, unless it is a part of a longer line or the last of all. */
  readonly log: string;
  readonly stream: "stdout" | "stderr";
  /** RFC 3339 with nine digits of a second, in UTC. */
  readonly time: string;
}

// Choice: as Docker is commonly told to (max-size 10m, max-file 3); Docker's own default has no bound.
export const LOG_FILE_BYTES_MAX = 10 * 1024 * 1024;
export const LOG_FILES = 3;
// Docker's (daemon/logger/copier.go): a longer line is kept in parts of this size.
export const LOG_LINE_BYTES_MAX = 16 * 1024;

/** `age` 0 is the file that is written now. */
export function logPath(folder: string, age: number): string {
  return join(folder, age === 0 ? "log.json" : `log.json.${age}`);
}

/** The other way round; undefined: it is no log file. */
export function logAge(name: string): number | undefined {
  const found = /^log\.json(?:\.(\d{1,4}))?$/.exec(name);
  return found === null ? undefined : Number(found[1] ?? 0);
}

export function formatTime(unixMs: number): string {
  const whole = Math.floor(unixMs);
  const micros = String(Math.floor((unixMs - whole) * 1000)).padStart(3, "0");
  return `${new Date(whole).toISOString().slice(0, -1)}${micros}000Z`;
}

export function encodeLogLine(line: LogLine): string {
  return `${JSON.stringify({ log: line.log, stream: line.stream, time: line.time })}\n`;
}

/** Undefined for what is not one, such as a line cut by a full disk. */
export function decodeLogLine(text: string): LogLine | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null) return undefined;
    const { log, stream, time } = value as Record<string, unknown>;
    if (typeof log !== "string" || typeof time !== "string") return undefined;
    if (stream !== "stdout" && stream !== "stderr") return undefined;
    return { log, stream, time };
  } catch {
    return undefined;
  }
}
