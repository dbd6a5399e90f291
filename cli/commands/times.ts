// --since and --until: an age ("42m"), a date, or seconds since 1970 → what the API takes, which is
// seconds with an optional fraction. After moby api/types/time GetTimestamp.
import { parseDuration } from "../args/values.js";
import { Failure } from "../cli.js";

export function apiTimestamp(text: string, nowMs: number): string {
  const age = parseDuration(text);
  if (age !== undefined) return seconds(nowMs * 1e6 - age);
  if (/^\d+(\.\d+)?$/.test(text)) return text;
  // A date without a zone is in the person's own; JavaScript takes a bare day for UTC.
  const date = /^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00:00` : text;
  const ms = /^\d{4}-\d\d-\d\d/.test(date) ? Date.parse(date) : Number.NaN;
  if (Number.isNaN(ms)) throw new Failure(`failed to parse value as time or duration: "${text}"`);
  const fraction = /\.(\d+)/.exec(date)?.[1]?.padEnd(9, "0") ?? "000000000";
  return `${Math.floor(ms / 1000)}.${fraction}`;
}

function seconds(ns: number): string {
  return String(Math.floor(ns / 1e9));
}

/** RFC 3339 with all nine digits of nanoseconds, in the person's own zone, as docker prints events. */
export function eventTime(ns: bigint): string {
  const date = new Date(Number(ns / 1_000_000n));
  const fraction = String(ns % 1_000_000_000n).padStart(9, "0");
  const pad = (n: number) => String(n).padStart(2, "0");
  const day = `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
  const time = `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
  return `${day}T${time}.${fraction}${zone(-date.getTimezoneOffset())}`;
}

function zone(minutes: number): string {
  if (minutes === 0) return "Z";
  const hours = Math.floor(Math.abs(minutes) / 60);
  const rest = Math.abs(minutes) % 60;
  return `${minutes < 0 ? "-" : "+"}${String(hours).padStart(2, "0")}:${String(rest).padStart(2, "0")}`;
}
