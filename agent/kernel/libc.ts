// The system calls that the agent needs and Node does not have, each by its own name. Those that change a namespace act
// on the calling thread only.
import { closeSync } from "node:fs";
import { endianness } from "node:os";
import { EINPROGRESS } from "../../common/errno.js";
import { assert } from "../../common/fault.js";
import { bindCall, check, lastErrno } from "../../common/libc.js";

// The codecs read and write host byte order as little-endian.
assert(endianness() === "LE", "this machine is little-endian");

// bits/socket.h, bits/sched.h, sys/mount.h, sys/epoll.h: the same numbers on x86-64 and arm64.
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
export const SOCK_CLOEXEC = 0o2000000;
export const SOCK_NONBLOCK = 0o4000;
export const MSG_DONTWAIT = 0x40;
export const MSG_TRUNC = 0x20;
export const SOL_SOCKET = 1;
export const SO_REUSEADDR = 2;
export const SO_RCVBUF = 8;
export const SO_SNDBUFFORCE = 32;
export const SO_RCVBUFFORCE = 33;
export const CLONE_NEWNS = 0x00020000;
export const CLONE_NEWUTS = 0x04000000;
export const CLONE_NEWPID = 0x20000000;
export const CLONE_NEWNET = 0x40000000;
export const MS_NOSUID = 2;
export const MS_NODEV = 4;
export const MS_NOEXEC = 8;
export const MS_REMOUNT = 32;
export const MS_BIND = 0x1000;
export const MS_REC = 0x4000;
export const MS_SLAVE = 1 << 19;
export const MNT_DETACH = 2;
export const IPPROTO_ICMP = 1;
export const IPPROTO_ICMPV6 = 58;
// linux/in.h, linux/in6.h: levels of setsockopt(2), and options there.
export const IPPROTO_IP = 0;
export const IPPROTO_IPV6 = 41;
export const IP_MTU_DISCOVER = 10;
export const IPV6_MTU_DISCOVER = 23;
export const IPV6_V6ONLY = 26;
// linux/sockios.h: the older struct timespec, two 64-bit numbers on 64-bit machines.
const SIOCGSTAMPNS = 0x8907;
const CLOCK_REALTIME = 0;
export const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
export const EPOLLIN = 1;
export const EPOLLPRI = 2;

// openat2(2): the same number on every architecture.
const SYS_OPENAT2 = 437;
const RESOLVE_IN_ROOT = 0x10n;
// open_tree(2) and move_mount(2): include/uapi/linux/mount.h, fcntl.h.
const SYS_OPEN_TREE = 428;
const SYS_MOVE_MOUNT = 429;
const AT_FDCWD = -100;
const AT_RECURSIVE = 0x8000;
const OPEN_TREE_CLONE = 1;
const OPEN_TREE_CLOEXEC = 0o2000000;
const MOVE_FROM_EMPTY_PATH = 0x4;

const calls = {
  socket: bindCall("int socket(int, int, int)"),
  bind: bindCall("int bind(int, const void *, uint32_t)"),
  listen: bindCall("int listen(int, int)"),
  connect: bindCall("int connect(int, const void *, uint32_t)"),
  send: bindCall("long send(int, const void *, size_t, int)"),
  recv: bindCall("long recv(int, void *, size_t, int)"),
  sendto: bindCall("long sendto(int, const void *, size_t, int, const void *, uint32_t)"),
  recvfrom: bindCall("long recvfrom(int, void *, size_t, int, void *, void *)"),
  setsockopt: bindCall("int setsockopt(int, int, int, const void *, uint32_t)"),
  getsockopt: bindCall("int getsockopt(int, int, int, void *, void *)"),
  setns: bindCall("int setns(int, int)"),
  unshare: bindCall("int unshare(int)"),
  mount: bindCall("int mount(const char *, const char *, const char *, unsigned long, void *)"),
  umount2: bindCall("int umount2(const char *, int)"),
  mkfifo: bindCall("int mkfifo(const char *, uint32_t)"),
  chroot: bindCall("int chroot(const char *)"),
  getxattr: bindCall("long getxattr(const char *, const char *, void *, size_t)"),
  syscall: bindCall("long syscall(long, long, const char *, const void *, size_t)"),
  openTree: bindCall("long syscall(long, long, const char *, unsigned long)"),
  moveMount: bindCall("long syscall(long, long, const char *, long, const char *, unsigned long)"),
  sethostname: bindCall("int sethostname(const char *, size_t)"),
  ioctl: bindCall("int ioctl(int, unsigned long, void *)"),
  ioctlNumber: bindCall("int ioctl(int, unsigned long, unsigned long)"),
  eventfd: bindCall("int eventfd(unsigned int, int)"),
  clock_gettime: bindCall("int clock_gettime(int, void *)"),
  epoll_create1: bindCall("int epoll_create1(int)"),
  epoll_ctl: bindCall("int epoll_ctl(int, int, int, const void *)"),
  epoll_wait: bindCall("int epoll_wait(int, void *, int, int)"),
};

export function socket(family: number, type: number, protocol: number): number {
  return check("socket", calls.socket(family, type | SOCK_CLOEXEC, protocol));
}
/** One that `prepare` has made ready; closed when that throws. */
export function preparedSocket(
  family: number,
  type: number,
  protocol: number,
  prepare: (fd: number) => void,
): number {
  const fd = socket(family, type, protocol);
  try {
    prepare(fd);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}
export function bind(fd: number, address: Uint8Array): void {
  check("bind", calls.bind(fd, address, address.length));
}
export function listen(fd: number, backlog: number): void {
  check("listen", calls.listen(fd, backlog));
}
/** Of a socket that does not block: it is on its way when this returns. */
export function startConnect(fd: number, address: Uint8Array): void {
  const result = calls.connect(fd, address, address.length);
  if (result < 0 && lastErrno() !== EINPROGRESS) check("connect", result);
}
/** 0, or the errno. */
export function tryConnect(fd: number, address: Uint8Array): number {
  return calls.connect(fd, address, address.length) < 0 ? lastErrno() : 0;
}
export function send(fd: number, bytes: Uint8Array, flags: number): number {
  return check("send", calls.send(fd, bytes, bytes.length, flags));
}
export function sendto(fd: number, bytes: Uint8Array, flags: number, address: Uint8Array): number {
  return check("sendto", calls.sendto(fd, bytes, bytes.length, flags, address, address.length));
}
/** With MSG_TRUNC the real length of the datagram, which may be more than `bytes` holds. */
export function recv(fd: number, bytes: Uint8Array, flags: number): number {
  return check("recv", calls.recv(fd, bytes, bytes.length, flags));
}
/** The length received, or the errno, negated: for callers to whom EAGAIN is no failure. */
export function tryRecv(fd: number, bytes: Uint8Array, flags: number): number {
  const length = calls.recv(fd, bytes, bytes.length, flags);
  return length < 0 ? -lastErrno() : length;
}
const addressLength = Buffer.alloc(4);
/** As `tryRecv`; who it came from is written to `address`, as far as that has room. */
export function tryRecvFrom(
  fd: number,
  bytes: Uint8Array,
  flags: number,
  address: Uint8Array,
): number {
  addressLength.writeUInt32LE(address.length);
  const length = calls.recvfrom(fd, bytes, bytes.length, flags, address, addressLength);
  return length < 0 ? -lastErrno() : length;
}
export function setsockopt(fd: number, level: number, option: number, value: number): void {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  check("setsockopt", calls.setsockopt(fd, level, option, bytes, bytes.length));
}
export function setsockoptBytes(fd: number, level: number, option: number, bytes: Buffer): void {
  check("setsockopt", calls.setsockopt(fd, level, option, bytes, bytes.length));
}
/** `bytes` is question and answer at once, as iptables' options have it. */
export function getsockoptBytes(fd: number, level: number, option: number, bytes: Buffer): void {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.length);
  check("getsockopt", calls.getsockopt(fd, level, option, bytes, length));
}
/** Moves the calling thread only. */
export function setns(fd: number, kind: number): void {
  check("setns", calls.setns(fd, kind));
}
/** Moves the calling thread only. */
export function unshare(kind: number): void {
  check("unshare", calls.unshare(kind));
}
export function mount(
  source: string,
  target: string,
  kind: string | null,
  flags: number,
  /** Of the file system, as mount(8) writes its options. */
  data = "",
): void {
  const options = data === "" ? null : Buffer.from(`${data}\0`);
  check("mount", calls.mount(source, target, kind, flags, options));
}
/** `options` as mount(8) writes them: "size=1m,mode=700". */
export function mountWith(
  source: string,
  target: string,
  kind: string,
  flags: number,
  options: string,
): void {
  check("mount", calls.mount(source, target, kind, flags, Buffer.from(`${options}\0`)));
}
export function mkfifo(path: string, mode: number): void {
  check("mkfifo", calls.mkfifo(path, mode));
}
/** Of the whole process: its threads share it. */
export function chroot(path: string): void {
  check("chroot", calls.chroot(path));
}
/** The attribute's text; undefined when there is none, or it is longer than 256 bytes. */
export function getxattr(path: string, name: string): string | undefined {
  const value = Buffer.alloc(256);
  const length = calls.getxattr(path, name, value, value.length);
  return length < 0 ? undefined : value.toString("utf8", 0, length);
}
/** A copy of what is mounted at the path, and below it, that is nowhere yet. */
export function openTree(path: string): number {
  const flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE;
  return check("open_tree", calls.openTree(SYS_OPEN_TREE, AT_FDCWD, path, flags));
}
/** Puts such a copy at the path. */
export function moveMount(treeFd: number, path: string): void {
  const result = calls.moveMount(SYS_MOVE_MOUNT, treeFd, "", AT_FDCWD, path, MOVE_FROM_EMPTY_PATH);
  check("move_mount", result);
}
/** Opens a path as if the folder that `dirFd` is were "/": no link and no ".." leads out of it. */
export function openInRoot(dirFd: number, path: string, flags: number): number {
  // struct open_how (include/uapi/linux/openat2.h): flags, mode, resolve.
  const how = Buffer.alloc(24);
  how.writeBigUInt64LE(BigInt(flags), 0);
  how.writeBigUInt64LE(RESOLVE_IN_ROOT, 16);
  return check("openat2", calls.syscall(SYS_OPENAT2, dirFd, path, how, how.length));
}
export function umount2(target: string, flags: number): void {
  check("umount2", calls.umount2(target, flags));
}
export function sethostname(name: string): void {
  check("sethostname", calls.sethostname(name, Buffer.byteLength(name)));
}
/** `argument` is read and written in place; what the call answers is returned, it is never negative. */
export function ioctl(fd: number, request: number, argument: Uint8Array | null): number {
  return check("ioctl", calls.ioctl(fd, request, argument));
}
/** For requests whose argument is a number itself. */
export function ioctlNumber(fd: number, request: number, argument: number): void {
  check("ioctl", calls.ioctlNumber(fd, request, argument));
}
/** A descriptor that can be read once somebody has written 8 bytes to it. */
export function eventfd(): number {
  return check("eventfd", calls.eventfd(0, SOCK_NONBLOCK | SOCK_CLOEXEC));
}
const timespec = Buffer.alloc(16);
function timespecUs(): number {
  return Number(timespec.readBigInt64LE(0)) * 1e6 + Number(timespec.readBigInt64LE(8)) / 1e3;
}
/** As `arrivedAtUs`, with all digits. */
export function arrivedAt(fd: number): { seconds: number; nanoseconds: number } | undefined {
  if (calls.ioctl(fd, SIOCGSTAMPNS, timespec) < 0) return undefined;
  return {
    seconds: Number(timespec.readBigInt64LE(0)),
    nanoseconds: Number(timespec.readBigInt64LE(8)),
  };
}
/** Unix time in microseconds by the clock that the kernel stamps packets with. */
export function realtimeUs(): number {
  check("clock_gettime", calls.clock_gettime(CLOCK_REALTIME, timespec));
  return timespecUs();
}
/** When the last packet read from the socket arrived. The first call turns stamping on and answers undefined. */
export function arrivedAtUs(fd: number): number | undefined {
  return calls.ioctl(fd, SIOCGSTAMPNS, timespec) < 0 ? undefined : timespecUs();
}
export function epollCreate(): number {
  return check("epoll_create1", calls.epoll_create1(SOCK_CLOEXEC));
}
// struct epoll_event is packed on x86-64 (12 bytes) and padded elsewhere (16); `data` is not read.
const epollEvent = Buffer.alloc(16);
export const EPOLL_DATA_OFFSET = process.arch === "x64" ? 4 : 8;
export const EPOLL_EVENT_BYTES = process.arch === "x64" ? 12 : 16;
/** `events`: EPOLLIN or EPOLLPRI. */
export function epollAdd(epollFd: number, fd: number, events: number = EPOLLIN): void {
  epollEvent.writeUInt32LE(events);
  check("epoll_ctl", calls.epoll_ctl(epollFd, EPOLL_CTL_ADD, fd, epollEvent));
}
/** `tag`, below 2^31, is told by whoever waits. */
export function epollAddTagged(epollFd: number, fd: number, tag: number): void {
  epollEvent.fill(0);
  epollEvent.writeUInt32LE(EPOLLIN);
  epollEvent.writeInt32LE(tag, EPOLL_DATA_OFFSET);
  check("epoll_ctl", calls.epoll_ctl(epollFd, EPOLL_CTL_ADD, fd, epollEvent));
}
export function epollRemove(epollFd: number, fd: number): void {
  check("epoll_ctl", calls.epoll_ctl(epollFd, EPOLL_CTL_DEL, fd, epollEvent));
}
/** Whether any of the descriptors has what was asked for. Does not wait. */
export function epollAny(epollFd: number): boolean {
  return check("epoll_wait", calls.epoll_wait(epollFd, epollEvent, 1, 0)) > 0;
}
