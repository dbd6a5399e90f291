// The system calls of the switch's threads. Pointers are numbers here: addresses in an arena.
import { bindCall } from "../../common/libc.js";

type NumberCall = (...args: readonly number[]) => number;
const call = (prototype: string) => bindCall(prototype) as NumberCall;

/** The results are the kernel's: negative for an error, which `lastErrno` names. */
export const wire = {
  read: call("long read(int, uintptr_t, size_t)"),
  writev: call("long writev(int, uintptr_t, int)"),
  sendmmsg: call("int sendmmsg(int, uintptr_t, unsigned int, int)"),
  recvmmsg: call("int recvmmsg(int, uintptr_t, unsigned int, int, uintptr_t)"),
  epollWait: call("int epoll_wait(int, uintptr_t, int, int)"),
};
