// `--network`: "overnet", or "name=overnet,alias=web,ip=10.0.1.9" (docker/cli opts/network.go).
import { cut, mustKeyValues, WrongValue } from "./fields.js";

export interface NetworkOption {
  readonly name: string;
  readonly aliases: readonly string[];
  readonly driverOpts: Readonly<Record<string, string>>;
  readonly ip: string;
  readonly ip6: string;
  readonly linkLocalIps: readonly string[];
  readonly macAddress: string;
  readonly gwPriority: number;
}

const KEYS = ["name", "alias", "driver-opt", "ip", "ip6", "link-local-ip", "mac-address"];

export function parseNetwork(written: string): NetworkOption {
  const given = new Map<string, string[]>();
  const fields = written.includes("=")
    ? mustKeyValues(written)
    : [{ key: "name", value: written.trim() }];
  for (const [i, { key, value }] of fields.entries()) {
    // What docker's client does not take: the name first, without its key.
    const isName = value === undefined && i === 0;
    const named = isName ? { key: "name", value: bare(written) } : { key, value };
    if (named.value === undefined) throw new WrongValue(`invalid field ${key}`);
    if (![...KEYS, "gw-priority"].includes(named.key)) {
      throw new WrongValue(`invalid field key ${named.key}`);
    }
    given.set(named.key, [...(given.get(named.key) ?? []), named.value]);
  }
  const one = (key: string) => given.get(key)?.at(-1) ?? "";
  const name = one("name");
  if (name === "") throw new WrongValue("network name/id is not specified");
  return {
    name,
    aliases: given.get("alias") ?? [],
    driverOpts: Object.fromEntries((given.get("driver-opt") ?? []).map(driverOption)),
    ip: one("ip"),
    ip6: one("ip6"),
    linkLocalIps: given.get("link-local-ip") ?? [],
    macAddress: one("mac-address"),
    gwPriority: priority(one("gw-priority")),
  };
}

function bare(written: string): string {
  return written.slice(0, written.indexOf(",")).trim();
}

export function driverOption(text: string): readonly [string, string] {
  const [key, value] = cut(text);
  if (value === undefined) {
    throw new WrongValue("invalid key/value pair format in driver options");
  }
  return [key.trim().toLowerCase(), value.trim()];
}

function priority(text: string): number {
  if (text === "") return 0;
  if (/^-?\d{1,9}$/.test(text)) return Number(text);
  throw new WrongValue(`invalid gw-priority (${text}): it must be a whole number`);
}
