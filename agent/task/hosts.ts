// The text of a container's /etc/hosts: the local names, and its own name at each of its addresses.

// What Docker writes (libnetwork/etchosts), so that a program finds the same names in both.
const LOCAL = [
  "127.0.0.1\tlocalhost",
  "::1\tlocalhost ip6-localhost ip6-loopback",
  "fe00::0\tip6-localnet",
  "ff00::0\tip6-mcastprefix",
  "ff02::1\tip6-allnodes",
  "ff02::2\tip6-allrouters",
];

/** `addresses` may carry a prefix length; empty ones (a network without that family) are left out. */
export function hostsText(
  hostname: string,
  addresses: readonly string[],
  /** "name:address". */
  extra: readonly string[] = [],
): string {
  const own = addresses
    .filter((address) => address !== "")
    .map((address) => `${address.split("/")[0]}\t${hostname}`);
  // Without any address the name still has to lead to the container itself.
  const lines = own.length > 0 ? own : [`127.0.1.1\t${hostname}`];
  const more = extra.map((entry) => {
    const at = entry.indexOf(":");
    return `${entry.slice(at + 1)}\t${entry.slice(0, at)}`;
  });
  return `${[...LOCAL, ...more, ...lines].join("\n")}\n`;
}
