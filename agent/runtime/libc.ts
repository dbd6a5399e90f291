// The few calls of libc that the supervisor needs and Node does not have. Each is synchronous and acts
// on the calling thread.
import { getSystemErrorMap } from "node:util";
import koffi from "koffi";
import { Fault } from "../../common/fault.js";

const libc = koffi.load("libc.so.6");
const calls = {
  unshare: libc.func("int unshare(int flags)"),
  setns: libc.func("int setns(int fd, int nstype)"),
  mount: libc.func(
    "int mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)",
  ),
  umount2: libc.func("int umount2(const char *target, int flags)"),
  sethostname: libc.func("int sethostname(const char *name, size_t length)"),
  ioctl: libc.func("int ioctl(int fd, unsigned long request, void *argument)"),
};

// include/uapi/linux/sched.h
export const CLONE_NEWNS = 0x00020000;
export const CLONE_NEWUTS = 0x04000000;
export const CLONE_NEWPID = 0x20000000;
export const CLONE_NEWNET = 0x40000000;
// include/uapi/linux/mount.h
export const MS_BIND = 0x1000;
export const MS_REC = 0x4000;
export const MS_SLAVE = 1 << 19;
export const MNT_DETACH = 2;

export function unshare(flags: number): void {
  check(calls.unshare(flags), "UNSHARE", { flags });
}

export function setns(fd: number, kind: number): void {
  check(calls.setns(fd, kind), "SETNS", { kind });
}

export function mount(source: string, target: string, type: string | null, flags: number): void {
  check(calls.mount(source, target, type, flags, null), "MOUNT", { source, target });
}

export function umount(target: string, flags: number): void {
  check(calls.umount2(target, flags), "UMOUNT", { target });
}

export function sethostname(name: string): void {
  check(calls.sethostname(name, Buffer.byteLength(name)), "SETHOSTNAME", { name });
}

/** `argument` is read and written in place; what the call answers is returned, it is never negative. */
export function ioctl(fd: number, request: number, argument: Buffer | null): number {
  const answer: unknown = calls.ioctl(fd, request, argument);
  check(answer, "IOCTL", { request });
  return Number(answer);
}

function check(answer: unknown, code: string, data: Record<string, string | number>): void {
  if (typeof answer === "number" && answer >= 0) return;
  const errno = koffi.errno();
  const [name, text] = getSystemErrorMap().get(-errno) ?? [`errno ${errno}`, ""];
  throw new Fault(code, { ...data, errno: name }, new Error(text));
}
