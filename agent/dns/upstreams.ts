// Which resolvers the machine has, from its /etc/resolv.conf.
import { parseIp } from "../../common/address.js";

// resolv.conf(5): MAXNS.
const SERVERS_MAX = 3;

/**
 * systemd-resolved's stub: it serves the machine's own programs and knows less than what it asks itself
 * (resolved.conf(5)). Its real servers are in another file, in the same form.
 */
const STUBS = new Set(["127.0.0.53", "127.0.0.54"]);

export const RESOLV_CONF = "/etc/resolv.conf";
export const REAL_RESOLV_CONF = "/run/systemd/resolve/resolv.conf";

export function serversIn(resolvConf: string): readonly string[] {
  const found: string[] = [];
  for (const line of resolvConf.split("\n")) {
    const [word, address = ""] = line
      .replace(/[#;].*$/, "")
      .trim()
      .split(/\s+/);
    // A link-local server ("fe80::1%eth0") is reached by the interface that it names.
    if (word === "nameserver" && parseIp(address.split("%")[0] ?? "")) found.push(address);
  }
  return found.slice(0, SERVERS_MAX);
}

/** Whom to ask; `real` is what systemd-resolved itself asks, if there is one. */
export function upstreamsOf(resolvConf: string, real: string | undefined): readonly string[] {
  const servers = serversIn(resolvConf);
  const beyond = real === undefined ? [] : serversIn(real);
  const isStub = servers.length > 0 && servers.every((server) => STUBS.has(server));
  return isStub && beyond.length > 0 ? beyond : servers;
}
