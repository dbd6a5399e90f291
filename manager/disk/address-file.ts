// Where other managers are reached that are not where the log says (wire/peer-addresses.ts): kept, so that managers
// that all have other addresses find each other again after a restart too, before they can write into the log.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { replaceFile } from "../../common/durable-files.js";
import { jsonObject } from "../../common/json-object.js";
import type { StateDir } from "./state-dir.js";

const FILE = "peer-addresses.json";

/** By raft id. What cannot be read is nothing: the log has addresses too, and a person can say it again. */
export async function loadAddresses(dir: StateDir): Promise<ReadonlyMap<number, string>> {
  const text = await readFile(join(dir.path, FILE), "utf8").catch(() => "{}");
  const found = Object.entries(jsonObject(text) ?? {}).flatMap(([id, addr]) =>
    Number.isSafeInteger(Number(id)) && typeof addr === "string"
      ? ([[Number(id), addr]] as const)
      : [],
  );
  return new Map(found);
}

export async function saveAddresses(
  dir: StateDir,
  addresses: ReadonlyMap<number, string>,
): Promise<void> {
  const text = JSON.stringify(Object.fromEntries(addresses), undefined, 2);
  await replaceFile(join(dir.path, FILE), Buffer.from(`${text}\n`));
}
