// The flags that were given, and the checks that each type makes on its text. The messages are
// those of spf13/pflag and Go's strconv, because they are what `docker` prints.
import type { Flag, FlagType } from "../command.js";
import { parsePolicyPorts } from "../policy/port.js";
import { parseMount } from "../service/mount.js";
import { parsePorts } from "../service/port.js";
import { parseReference } from "../service/references.js";
import { whyNotRead } from "./fields.js";
import { parseNetwork } from "./network-option.js";
import { parseBytes, parseNanoCpus, parseUlimit, shellWords } from "./quantities.js";

export class Values {
  constructor(
    private readonly flags: readonly Flag[],
    private readonly given: ReadonlyMap<string, readonly string[]>,
  ) {}

  /** Whether the person gave the flag at all. */
  has(name: string): boolean {
    return this.given.has(name);
  }

  /** The last one given, the fallback, or "". */
  text(name: string): string {
    return this.given.get(name)?.at(-1) ?? this.flag(name)?.fallback ?? "";
  }

  bool(name: string): boolean {
    return parseBool(this.text(name)) ?? false;
  }

  number(name: string): number {
    return Number(this.text(name) || "0");
  }

  /** A duration flag, in nanoseconds: the unit of Docker's API. */
  nanoseconds(name: string): number {
    return parseDuration(this.text(name)) ?? 0;
  }

  /** Every one given, in order; `strings` and `ipNetSlice` flags also split at commas. */
  list(name: string): readonly string[] {
    const given = this.given.get(name) ?? [];
    const type = this.flag(name)?.type;
    if (type === "strings" || type === "ipNetSlice") {
      return given.flatMap((text) => text.split(","));
    }
    return given;
  }

  /** `key=value` pairs; a key alone has the value "". */
  map(name: string): Record<string, string> {
    return toMap(this.list(name));
  }

  /** `name=value` filters, in the shape the API takes: {"driver":{"overlay":true}}. */
  filters(name = "filter"): Record<string, Record<string, boolean>> {
    const out: Record<string, Record<string, boolean>> = {};
    for (const text of this.list(name)) {
      const at = text.indexOf("=");
      const key = text.slice(0, at).trim().toLowerCase();
      const values = out[key] ?? {};
      values[text.slice(at + 1).trim()] = true;
      out[key] = values;
    }
    return out;
  }

  private flag(name: string): Flag | undefined {
    return this.flags.find((flag) => flag.name === name);
  }
}

export function toMap(pairs: readonly string[]): Record<string, string> {
  const out: Record<string, string> = {};
  for (const pair of pairs) {
    const at = pair.indexOf("=");
    if (at < 0) out[pair] = "";
    else out[pair.slice(0, at)] = pair.slice(at + 1);
  }
  return out;
}

function parseBool(text: string): boolean | undefined {
  if (["1", "t", "T", "true", "TRUE", "True"].includes(text)) return true;
  if (["0", "f", "F", "false", "FALSE", "False"].includes(text)) return false;
  return undefined;
}

const UNIT_NS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

/** Go's time.ParseDuration ("2h45m", "1.5s", "0"), in nanoseconds. */
export function parseDuration(text: string): number | undefined {
  const match = /^([+-]?)((?:\d+\.?\d*|\.\d+)[a-zµμ]+)+$/.exec(text);
  if (text === "0") return 0;
  if (match === null) return undefined;
  let total = 0;
  for (const [, count, unit] of text.matchAll(/(\d+\.?\d*|\.\d+)([a-zµμ]+)/g)) {
    const factor = UNIT_NS[unit ?? ""];
    if (factor === undefined) return undefined;
    total += Number(count) * factor;
  }
  return match[1] === "-" ? -total : total;
}

const UINT32_MAX = 2 ** 32 - 1;

/** Why `text` is no value of the type; undefined when it is one. */
export function whyNot(type: FlagType, text: string): string | undefined {
  switch (type) {
    case "bool":
      if (parseBool(text) !== undefined) return undefined;
      return `strconv.ParseBool: parsing "${text}": invalid syntax`;
    case "int":
      return /^[+-]?\d+$/.test(text) ? undefined : badNumber("ParseInt", text, "invalid syntax");
    case "uint":
    case "uint32":
      if (!/^\d+$/.test(text)) return badNumber("ParseUint", text, "invalid syntax");
      if (type === "uint32" && Number(text) > UINT32_MAX) {
        return badNumber("ParseUint", text, "value out of range");
      }
      return undefined;
    case "duration":
      return parseDuration(text) === undefined ? badDuration(text) : undefined;
    case "filter":
      return text.includes("=") ? undefined : "bad format of filter (expected name=value)";
    case "ipNetSlice": {
      const bad = text.split(",").find((one) => !/^[0-9a-fA-F.:]+\/\d{1,3}$/.test(one.trim()));
      return bad === undefined ? undefined : `invalid string being converted to CIDR: ${bad}`;
    }
    case "float":
      return /^-?(\d+\.?\d*|\.\d+)$/.test(text)
        ? undefined
        : badNumber("ParseFloat", text, "invalid syntax");
    case "decimal":
      return parseNanoCpus(text) === undefined
        ? `failed to parse ${text} as a rational number`
        : undefined;
    case "bytes":
      return parseBytes(text) === undefined ? `invalid size: '${text}'` : undefined;
    case "command":
      return shellWords(text) === undefined ? "EOF found when expecting closing quote" : undefined;
    case "ulimit":
      return parseUlimit(text) === undefined ? `invalid ulimit argument: ${text}` : undefined;
    case "mount":
      return whyNotRead(parseMount, text);
    case "network":
      return whyNotRead(parseNetwork, text);
    case "policy-port":
      return whyNotRead(parsePolicyPorts, text);
    case "port":
      return whyNotRead(parsePorts, text);
    case "secret":
    case "config":
      return whyNotRead(parseReference, text);
    default:
      return undefined;
  }
}

function badNumber(call: string, text: string, why: string): string {
  return `strconv.${call}: parsing "${text}": ${why}`;
}

function badDuration(text: string): string {
  const number = /^[+-]?\d+(\.\d*)?$/.test(text);
  const unit = /^[+-]?[\d.]+([^\d.]+)/.exec(text)?.[1];
  if (number) return `time: missing unit in duration "${text}"`;
  if (unit !== undefined) return `time: unknown unit "${unit}" in duration "${text}"`;
  return `time: invalid duration "${text}"`;
}
