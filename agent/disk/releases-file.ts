// releases.json: ids of endpoints that are still to be given back to the swarm.
import { join } from "node:path";
import { readIfThere, removeDurably, replaceFile } from "../../common/durable-files.js";
import { Fault } from "../../common/fault.js";
import type { ReleaseDisk } from "../task/keeping.js";

export function releaseDiskAt(stateDir: string): ReleaseDisk {
  const path = join(stateDir, "releases.json");
  return {
    async load() {
      const data = await readIfThere(path);
      if (data === undefined) return [];
      const ids = parseIds(data.toString());
      if (ids === undefined) throw new Fault("STATE_DAMAGED", { file: path });
      return ids;
    },
    // Mostly there are none, and then no file.
    save: (ids) =>
      ids.length === 0 ? removeDurably(path) : replaceFile(path, Buffer.from(JSON.stringify(ids))),
  };
}

function parseIds(text: string): readonly string[] | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) && value.every((id) => typeof id === "string") ? value : undefined;
  } catch {
    return undefined;
  }
}
