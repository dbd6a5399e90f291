// Names of capabilities (capabilities(7)), and the daemon's words for one that is none.

/** include/uapi/linux/capability.h, in the order of their numbers. */
export const CAPABILITIES: readonly string[] = [
  ...["CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID"],
  ...["SETPCAP", "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW"],
  ...["IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE"],
  ...["SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME"],
  ...["SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP"],
  ...["MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ"],
  ...["PERFMON", "BPF", "CHECKPOINT_RESTORE"],
].map((name) => `CAP_${name}`);

const KNOWN = new Set(["ALL", ...CAPABILITIES]);

/** "net_admin" → "CAP_NET_ADMIN"; "ALL" stays. Nobody says that there is one of this name. */
export function capabilityName(written: string): string {
  const upper = written.toUpperCase();
  return upper === "ALL" || upper.startsWith("CAP_") ? upper : `CAP_${upper}`;
}

/** The first that the kernel does not have, in dockerd's words; undefined: it has them all. */
export function capabilityProblem(
  field: "CapAdd" | "CapDrop",
  written: readonly string[],
): string | undefined {
  const wrong = written.map(capabilityName).find((name) => !KNOWN.has(name));
  return wrong === undefined ? undefined : `invalid ${field}: unknown capability: "${wrong}"`;
}
