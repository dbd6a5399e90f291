// Small JSON files beside a container: whole or not at all. Not made durable against power loss: after
// that the command has ended anyway, and the agent says so, or the record is written anew.
import { readFileSync, renameSync, writeFileSync } from "node:fs";

/** For the owner alone. */
export function replaceJson(path: string, value: unknown): void {
  writeFileSync(`${path}.tmp`, JSON.stringify(value), { mode: 0o600 });
  renameSync(`${path}.tmp`, path);
}

/** Undefined: it is not there, or no JSON. */
export function maybeJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch {
    return undefined;
  }
}
