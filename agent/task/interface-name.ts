// Which name an attachment's interface gets where it is put.

// IFNAMSIZ of linux/if.h is 16 with the ending zero.
const INTERFACE_NAME_BYTES_MAX = 15;
const HOST_PREFIX = "sk-";

/** As dev_valid_name of net/core/dev.c, in ASCII, and without the "%" that the kernel would number. */
export function isInterfaceName(name: string): boolean {
  return /^[!-.0-9;-~]{1,15}$/.test(name) && name !== "." && name !== ".." && !name.includes("%");
}

/** On the machine itself: "sk-overnet", cut to fit, numbered when it is taken. */
export function hostInterfaceName(network: string, taken: ReadonlySet<string>): string {
  const plain = network.replace(/[^a-zA-Z0-9_.-]/g, "-");
  for (let number = 1; ; number++) {
    const suffix = number === 1 ? "" : String(number);
    const room = INTERFACE_NAME_BYTES_MAX - HOST_PREFIX.length - suffix.length;
    const name = HOST_PREFIX + plain.slice(0, room) + suffix;
    if (!taken.has(name)) return name;
  }
}

/** In a namespace: the first free of eth0, eth1, ... */
export function sandboxInterfaceName(taken: ReadonlySet<string>): string {
  for (let number = 0; ; number++) {
    if (!taken.has(`eth${number}`)) return `eth${number}`;
  }
}
