// flock(2), which Node does not have: a lock that ends with the process, however it ends.
import koffi from "koffi";

// <linux/fcntl.h>, uapi: LOCK_EX 2, LOCK_NB 4.
const LOCK_EX = 2;
const LOCK_NB = 4;

/** False when another open file of the same inode holds it. Children do not inherit it: Node opens with O_CLOEXEC. */
export function tryLock(fd: number): boolean {
  const flock = koffi.load("libc.so.6").func("int flock(int fd, int operation)");
  return flock(fd, LOCK_EX | LOCK_NB) === 0;
}
