// The unix socket's file: whose it may be, who may open it, and what to do with one that is there.
import { chmodSync, chownSync, lstatSync, readFileSync, unlinkSync } from "node:fs";
import { connect, type Server } from "node:net";
import { Fault } from "../../common/fault.js";
import type { Logger } from "../../common/log.js";

// Owner and group may speak, nobody else: who may, commands this machine.
const MODE = 0o660;
const UMASK = 0o117;
// A live agent accepts at once, whatever it does; the kernel answers for it.
const PROBE_MS = 2_000;

/** Removes the socket of an agent that is gone. Fault API_SOCKET_IN_USE when one answers. */
export async function clearStale(path: string): Promise<void> {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (!stat) return;
  if (!stat.isSocket()) {
    throw new Fault("API_SOCKET_BLOCKED", { path, why: "something that is no socket is there" });
  }
  if (await answers(path)) {
    throw new Fault("API_SOCKET_IN_USE", { path, why: "another agent answers there" });
  }
  unlinkSync(path);
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const probe = connect(path);
    const timer = setTimeout(() => settle(() => resolve(true)), PROBE_MS);
    const settle = (act: () => void) => {
      clearTimeout(timer);
      probe.destroy();
      act();
    };
    probe.once("connect", () => settle(() => resolve(true)));
    probe.once("error", (error: NodeJS.ErrnoException) => {
      const gone = error.code === "ECONNREFUSED" || error.code === "ENOENT";
      settle(() =>
        gone ? resolve(false) : reject(new Fault("API_SOCKET_BLOCKED", { path }, error)),
      );
    });
  });
}

/** Listens; nobody but the owner and, once it is set, the group can ever open the file. */
export async function listen(
  server: Server,
  path: string,
  group: string,
  log: Logger,
): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const fail = (error: Error) => reject(new Fault("API_LISTEN", { path }, error));
    server.once("error", fail);
    // bind(2) makes the file within this call, with the permissions that the mask leaves.
    const before = process.umask(UMASK);
    try {
      server.listen(path, () => {
        server.off("error", fail);
        resolve();
      });
    } finally {
      process.umask(before);
    }
  });
  const gid = groupId(group);
  if (gid !== undefined) chownSync(path, process.getuid?.() ?? 0, gid);
  else if (group !== "") log.warn({ group, path }, "no such group: only root may use the socket");
  chmodSync(path, MODE);
}

/** From /etc/group (group(5)); undefined if it is not there. */
export function groupId(group: string, file = "/etc/group"): number | undefined {
  if (/^\d+$/.test(group)) return Number(group);
  const line = readFileSync(file, "utf8")
    .split("\n")
    .find((each) => each.startsWith(`${group}:`));
  const gid = line?.split(":")[2];
  return group !== "" && gid !== undefined && /^\d+$/.test(gid) ? Number(gid) : undefined;
}
