// Why a kernel does not take the programs, in words for whoever owns the machine.
import { ENODEV, ENOSYS, EPERM } from "../../common/errno.js";

export interface BpfRefusal {
  /** The system call, or the command of bpf(2), that did not work. */
  readonly call: string;
  readonly errno: number;
  /** "mount: EPERM: operation not permitted". */
  readonly said: string;
  /** The last words of the kernel's verifier, which reads a program before it is taken; empty: it has read none. */
  readonly verifier: string;
}

/** As the rest of a sentence. `release`: the kernel's. */
export function whyUnfit(refusal: BpfRefusal, release: string): string {
  const { call, errno, said, verifier } = refusal;
  if (errno === EPERM && verifier === "")
    return `the agent may not use eBPF (${said}): it needs CAP_SYS_ADMIN and CAP_NET_ADMIN, and neither a seccomp filter nor the kernel's lockdown in its way`;
  if (errno === ENOSYS) return "its kernel has no bpf(2) (CONFIG_BPF_SYSCALL)";
  if (call === "mount" && errno === ENODEV)
    return "its kernel has no BPF file system (CONFIG_BPF_SYSCALL)";
  if (call === "BPF_PROG_LOAD")
    return `its kernel, ${release}, refuses a program (${verifier || said}); Linux 6.1 is the oldest that takes them all`;
  return said;
}
