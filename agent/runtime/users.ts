// Who the command runs as: "", "name", "uid", each with ":group" or ":gid", as Docker takes them,
// looked up in the machine's own /etc/passwd and /etc/group.
import { readFileSync } from "node:fs";

export interface User {
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

const ROOT: User = { uid: 0, gid: 0, home: "/root" };

/** A sentence when there is no such user or group. */
export function findUser(wish: string): User | string {
  const [name = "", group] = wish.split(":", 2);
  const user = name === "" ? ROOT : userOf(name);
  if (user === undefined) return `unable to find user ${name}: no matching entries in passwd file`;
  if (group === undefined || group === "") return user;
  const gid = groupOf(group);
  if (gid === undefined) return `unable to find group ${group}: no matching entries in group file`;
  return { ...user, gid };
}

function userOf(name: string): User | undefined {
  // passwd(5): name:password:UID:GID:GECOS:directory:shell
  const entry = entries("/etc/passwd").find((fields) => fields[0] === name || fields[2] === name);
  if (entry) return { uid: Number(entry[2]), gid: Number(entry[3]), home: entry[5] ?? "/" };
  const uid = idOf(name);
  return uid === undefined ? undefined : { uid, gid: 0, home: "/" };
}

function groupOf(name: string): number | undefined {
  // group(5): name:password:GID:members
  const entry = entries("/etc/group").find((fields) => fields[0] === name);
  return entry ? Number(entry[2]) : idOf(name);
}

// Linux: (uid_t) -1 means "leave as it is" to setuid(2) and friends, so it is no id.
const ID_MAX = 2 ** 32 - 2;
function idOf(text: string): number | undefined {
  return /^\d{1,10}$/.test(text) && Number(text) <= ID_MAX ? Number(text) : undefined;
}

function entries(path: string): string[][] {
  try {
    return readFileSync(path, "utf8")
      .split("\n")
      .filter((line) => line.includes(":"))
      .map((line) => line.split(":"));
  } catch {
    return [];
  }
}
