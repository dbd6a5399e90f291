// The system calls that the agent needs and Node does not have, each by its own name. Those that change a namespace act
// on the calling thread only.
import { endianness } from "node:os";
import { assert } from "../../common/fault.js";
import { bindCall, check, lastErrno } from "../../common/libc.js";

// The codecs read and write host byte order as little-endian.
assert(endianness() === "LE", "this machine is little-endian");

// bits/socket.h, bits/sched.h, sys/mount.h, sys/epoll.h: the same numbers on x86-64 and arm64.
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;
export const MSG_DONTWAIT = 0x40;
export const MSG_TRUNC = 0x20;
export const SOL_SOCKET = 1;
export const SO_RCVBUF = 8;
export const SO_RCVBUFFORCE = 33;
export const CLONE_NEWNS = 0x00020000;
export const CLONE_NEWUTS = 0x04000000;
export const CLONE_NEWPID = 0x20000000;
export const CLONE_NEWNET = 0x40000000;
export const MS_BIND = 0x1000;
export const MS_REC = 0x4000;
export const MS_SLAVE = 1 << 19;
export const MNT_DETACH = 2;
export const IPPROTO_ICMP = 1;
export const IPPROTO_ICMPV6 = 58;
// linux/sockios.h: the older struct timespec, two 64-bit numbers on 64-bit machines.
const SIOCGSTAMPNS = 0x8907;
const CLOCK_REALTIME = 0;
export const EPOLL_CTL_ADD = 1;
export const EPOLL_CTL_DEL = 2;
export const EPOLLIN = 1;

const calls = {
  socket: bindCall("int socket(int, int, int)"),
  bind: bindCall("int bind(int, const void *, uint32_t)"),
  send: bindCall("long send(int, const void *, size_t, int)"),
  recv: bindCall("long recv(int, void *, size_t, int)"),
  sendto: bindCall("long sendto(int, const void *, size_t, int, const void *, uint32_t)"),
  setsockopt: bindCall("int setsockopt(int, int, int, const void *, uint32_t)"),
  setns: bindCall("int setns(int, int)"),
  unshare: bindCall("int unshare(int)"),
  mount: bindCall("int mount(const char *, const char *, const char *, unsigned long, void *)"),
  umount2: bindCall("int umount2(const char *, int)"),
  sethostname: bindCall("int sethostname(const char *, size_t)"),
  ioctl: bindCall("int ioctl(int, unsigned long, void *)"),
  clock_gettime: bindCall("int clock_gettime(int, void *)"),
  epoll_create1: bindCall("int epoll_create1(int)"),
  epoll_ctl: bindCall("int epoll_ctl(int, int, int, const void *)"),
  epoll_wait: bindCall("int epoll_wait(int, void *, int, int)"),
};

export function socket(family: number, type: number, protocol: number): number {
  return check("socket", calls.socket(family, type | SOCK_CLOEXEC, protocol));
}
export function bind(fd: number, address: Uint8Array): void {
  check("bind", calls.bind(fd, address, address.length));
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
export function setsockopt(fd: number, level: number, option: number, value: number): void {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  check("setsockopt", calls.setsockopt(fd, level, option, bytes, bytes.length));
}
export function setsockoptBytes(
  fd: number,
  level: number,
  option: number,
  value: Uint8Array,
): void {
  check("setsockopt", calls.setsockopt(fd, level, option, value, value.length));
}
/** Moves the calling thread only. */
export function setns(fd: number, kind: number): void {
  check("setns", calls.setns(fd, kind));
}
/** Moves the calling thread only. */
export function unshare(kind: number): void {
  check("unshare", calls.unshare(kind));
}
export function mount(source: string, target: string, kind: string | null, flags: number): void {
  check("mount", calls.mount(source, target, kind, flags, null));
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
const timespec = Buffer.alloc(16);
function timespecUs(): number {
  return Number(timespec.readBigInt64LE(0)) * 1e6 + Number(timespec.readBigInt64LE(8)) / 1e3;
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
export function epollAdd(epollFd: number, fd: number): void {
  epollEvent.writeUInt32LE(EPOLLIN);
  check("epoll_ctl", calls.epoll_ctl(epollFd, EPOLL_CTL_ADD, fd, epollEvent));
}
/** Whether any of the descriptors can be read now. Does not wait. */
export function epollAny(epollFd: number): boolean {
  return check("epoll_wait", calls.epoll_wait(epollFd, epollEvent, 1, 0)) > 0;
}
