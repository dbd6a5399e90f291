// Where a process may die between two changes of its folder: every call of node:fs/promises that changes something
// there is counted, and at the one that is asked for the process dies, before it or with half of a write done. Nothing
// of it is in the program: it takes the place of Node's own functions, in a process that loads it first.
import fs from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";

export interface FailPoint {
  /** Only what is under it counts. */
  readonly folder: string;
  /** The number of the change, from 1; 0: never. */
  readonly at: number;
  /** Of a write, half is done first; anything else is as "before". */
  readonly how: "before" | "half";
  /** Does not return to who called. */
  readonly die: () => Promise<never>;
  readonly onChange?: (what: string) => void;
}

type Call = (...args: never[]) => Promise<unknown>;

/** Answers how to take it back. */
export function failAt({ folder, at, how, die, onChange }: FailPoint): () => void {
  let count = 0;
  const { open, rename, rm, mkdir } = fs;
  const step = async (what: string, half?: () => Promise<unknown>) => {
    count++;
    onChange?.(what);
    if (count !== at) return;
    if (how === "half") await half?.();
    await die();
  };
  const within = (path: unknown) => String(path).startsWith(folder);
  const counted =
    (name: string, real: Call): Call =>
    async (...args) => {
      if (within(args[0])) await step(`${name} ${String(args[0])}`);
      return real(...args);
    };
  const patched = {
    rename: counted("rename", rename as Call),
    rm: counted("rm", rm as Call),
    mkdir: counted("mkdir", mkdir as Call),
    open: async (...args: Parameters<typeof open>) => {
      const writes = args[1] !== undefined && args[1] !== "r";
      if (writes && within(args[0])) await step(`open ${String(args[0])}`);
      const file = await open(...args);
      if (within(args[0])) wrap(file, String(args[0]));
      return file;
    },
  };
  const wrap = (file: fs.FileHandle, path: string) => {
    const own = file as unknown as Record<string, Call>;
    // Who dies before a sync has, for a kill, died before what follows it: the page cache stays.
    for (const name of ["write", "writeFile", "truncate"]) {
      const real = file[name as "write"].bind(file) as Call;
      own[name] = async (...args) => {
        await step(`${name} ${path}`, () => halfOf(name, real, args as unknown[]));
        return real(...args);
      };
    }
  };
  Object.assign(fs, patched);
  syncBuiltinESMExports();
  return () => {
    Object.assign(fs, { open, rename, rm, mkdir });
    syncBuiltinESMExports();
  };
}

async function halfOf(name: string, real: Call, args: unknown[]): Promise<void> {
  const call = real as (...args: unknown[]) => Promise<unknown>;
  const [data, offset = 0, length = 0, position] = args as [Uint8Array, number, number, number];
  if (name === "writeFile") await call(data.subarray(0, data.length >> 1));
  if (name === "write") await call(data, offset, length >> 1, position);
}
