// Who a container's process runs as, by the container's own passwd and group files. Their text is the
// image's, so it is read as foreign: what is not a proper line is not there.

export interface User {
  readonly uid: number;
  readonly gid: number;
  /** Supplementary groups. */
  readonly groups: readonly number[];
  readonly home: string;
}

export interface UserFiles {
  /** Empty when there is none. */
  readonly passwd: string;
  readonly group: string;
}

// Linux: (uid_t) -1 means "leave as it is" to setuid(2) and friends, so it is no id. Docker takes less.
const ID_MAX = 2 ** 31 - 1;

/** "", "name", "uid", each with ":group" or ":gid", as Docker takes them; a sentence of Docker's if there is none. */
export function findUser(
  wish: string,
  groupAdd: readonly string[],
  files: UserFiles,
): User | string {
  const at = wish.indexOf(":");
  const name = at < 0 ? wish : wish.slice(0, at);
  const group = at < 0 ? "" : wish.slice(at + 1);
  const groups = entries(files.group, 3);
  const entry = entries(files.passwd, 4).find(
    ([login, , uid]) => login === (name || "root") || uid === (name || "0"),
  );
  const number = idOf(name || "0");
  if (entry === undefined && number === undefined) {
    return `unable to find user ${name}: no matching entries in passwd file`;
  }
  const uid = idOf(entry?.[2] ?? "") ?? number ?? 0;
  const login = entry?.[0];
  let gid = idOf(entry?.[3] ?? "") ?? 0;
  let more: number[] = [];
  if (group === "") {
    more = groups
      .filter(([, , , members = ""]) => login !== undefined && members.split(",").includes(login))
      .flatMap(([, , id = ""]) => idOf(id) ?? []);
  } else {
    const found = groupOf(group, groups);
    if (found === undefined) {
      return `unable to find group ${group}: no matching entries in group file`;
    }
    gid = found;
  }
  for (const text of groupAdd) {
    const found = groupOf(text, groups);
    if (found === undefined) return `Unable to find group ${text}`;
    more.push(found);
  }
  const home = entry?.[5] ?? "";
  return {
    uid,
    gid,
    groups: [...new Set(more)].filter((id) => id !== gid),
    home: home === "" ? "/" : home,
  };
}

function groupOf(text: string, groups: readonly string[][]): number | undefined {
  const entry = groups.find(([name, , gid]) => name === text || gid === text);
  return idOf(entry?.[2] ?? "") ?? idOf(text);
}

function idOf(text: string): number | undefined {
  return /^\d{1,10}$/.test(text) && Number(text) <= ID_MAX ? Number(text) : undefined;
}

function entries(text: string, fieldsMin: number): string[][] {
  return text
    .split("\n")
    .map((line) => line.trim().split(":"))
    .filter((fields) => fields.length >= fieldsMin && !fields[0]?.startsWith("#"));
}
