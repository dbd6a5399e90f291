// Times as Docker writes and reads them. Pure: now is an argument.
import { badRequest } from "./http-error.js";

/** Go's zero time, which Docker shows for "never". */
export const NEVER = "0001-01-01T00:00:00Z";

const MS = 1_000_000n;
const SECOND = 1_000_000_000n;

/** RFC 3339 with as many digits as are needed, as Go's RFC3339Nano. Zero is Go's zero time. */
export function goTime(unixMs: number): string {
  if (unixMs === 0) return NEVER;
  return new Date(unixMs).toISOString().replace(/\.?0+Z$/, "Z");
}

/** RFC 3339 to the second. */
export function goSeconds(unixMs: number): string {
  return goTime(unixMs === 0 ? 0 : Math.max(1, Math.trunc(unixMs / 1_000)) * 1_000);
}

/** "1795233811", "1795233811.000000021" (what the clients send), RFC 3339, or a Go duration ago. */
export function parseWhen(written: string, nowMs: number, what: string): bigint | undefined {
  if (written === "") return undefined;
  const unix = /^(-?\d{1,12})(?:\.(\d{1,9}))?$/.exec(written);
  if (unix) return BigInt(unix[1] ?? 0) * SECOND + BigInt((unix[2] ?? "").padEnd(9, "0"));
  const duration = parseGoDurationMs(written);
  if (duration !== undefined) return BigInt(Math.round(nowMs - duration)) * MS;
  const date = Date.parse(written);
  if (Number.isNaN(date)) throw badRequest(`invalid ${what} '${written}': it is no timestamp`);
  return BigInt(date) * MS;
}

const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
};

/** "1h30m", "500ms"; undefined for anything else. */
export function parseGoDurationMs(written: string): number | undefined {
  if (!/^(?:\d+(?:\.\d+)?(?:ns|us|ms|s|m|h))+$/.test(written)) return undefined;
  let sum = 0;
  for (const [, amount, unit] of written.matchAll(/(\d+(?:\.\d+)?)(ns|us|ms|s|m|h)/g)) {
    sum += Number(amount) * (UNIT_MS[unit ?? ""] ?? 0);
  }
  return sum;
}

/** "3 seconds", "About a minute": docker/go-units HumanDuration. */
export function humanDuration(ms: number): string {
  const seconds = Math.trunc(ms / 1_000);
  if (seconds < 1) return "Less than a second";
  if (seconds === 1) return "1 second";
  if (seconds < 60) return `${seconds} seconds`;
  const minutes = Math.trunc(seconds / 60);
  if (minutes === 1) return "About a minute";
  if (minutes < 60) return `${minutes} minutes`;
  const hours = Math.round(minutes / 60);
  if (hours === 1) return "About an hour";
  if (hours < 48) return `${hours} hours`;
  if (hours < 24 * 7 * 2) return `${Math.trunc(hours / 24)} days`;
  if (hours < 24 * 30 * 2) return `${Math.trunc(hours / 24 / 7)} weeks`;
  if (hours < 24 * 365 * 2) return `${Math.trunc(hours / 24 / 30)} months`;
  return `${Math.trunc(hours / 24 / 365)} years`;
}
