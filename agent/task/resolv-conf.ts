// The text of a container's /etc/resolv.conf: 127.0.0.11 on networks that have names; else the machine's own,
// less what cannot be reached from inside, or what was asked for.
import type { ContainerSpec } from "../seams.js";

// The resolver of the machine itself, which a namespace of its own does not reach (RFC 1122, RFC 4291).
const LOOPBACK = /^(127\.|::1$|0\.0\.0\.0$)/;

// Docker's; the resolver's place in every sandbox.
const NAMES = "127.0.0.11";
// Docker's: a name is asked for as it is before a search domain is tried, for ours have no dots.
const NDOTS = "ndots:0";

/** `named`: 127.0.0.11 answers there, and asks whomever the spec names, or the machine has. */
export function resolvConfText(
  machine: string,
  spec: Pick<ContainerSpec, "dns" | "dnsSearch" | "dnsOptions" | "networkMode">,
  named: boolean,
): string {
  const lines = machine
    .split("\n")
    .map((line) =>
      line
        .replace(/[#;].*$/, "")
        .trim()
        .split(/\s+/),
    )
    .filter(([word]) => word !== undefined && word !== "");
  const all = (keyword: string) =>
    lines.filter(([word]) => word === keyword).map(([, ...rest]) => rest);
  const own = all("nameserver").map(([address = ""]) => address);
  const reached =
    spec.networkMode === "host" ? own : own.filter((address) => !LOOPBACK.test(address));
  const servers = named ? [NAMES] : spec.dns.length > 0 ? spec.dns : reached;
  // resolv.conf(5): of several, the last one counts. "--dns-search ." means none.
  const search = spec.dnsSearch.length > 0 ? spec.dnsSearch : (all("search").at(-1) ?? []);
  const shown = search.filter((domain) => domain !== ".");
  const asked = spec.dnsOptions.length > 0 ? spec.dnsOptions : all("options").flat();
  const hasNdots = asked.some((option) => option.startsWith("ndots:"));
  const options = named && !hasNdots ? [...asked, NDOTS] : asked;
  const text = [
    ...servers.map((server) => `nameserver ${server}`),
    ...(shown.length > 0 ? [`search ${shown.join(" ")}`] : []),
    ...(options.length > 0 ? [`options ${options.join(" ")}`] : []),
  ];
  return text.map((line) => `${line}\n`).join("");
}
