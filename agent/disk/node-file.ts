// node.json: that this node is part of a swarm, and what it needs to find the swarm again. The file's
// presence is the membership: it is written last on the way in and removed first on the way out.

import { join } from "node:path";
import { readIfThere, removeDurably, replaceFile } from "../../common/durable-files.js";
import { Fault } from "../../common/fault.js";
import { isObject, jsonObject } from "../../common/json-object.js";
import type { NodeDisk, NodeRecord } from "../seams.js";

export function nodeDiskAt(stateDir: string): NodeDisk {
  const path = join(stateDir, "node.json");
  return {
    async load() {
      const data = await readIfThere(path);
      if (data === undefined) return undefined;
      const record = parseNodeRecord(data.toString());
      if (record === undefined) throw new Fault("STATE_DAMAGED", { file: path });
      return record;
    },
    save: (record) => replaceFile(path, Buffer.from(`${JSON.stringify(record, undefined, 2)}\n`)),
    clear: () => removeDurably(path),
  };
}

/** Undefined unless every field is there with its type. Unknown fields are an error too: they mean another release. */
export function parseNodeRecord(text: string): NodeRecord | undefined {
  const value = jsonObject(text);
  if (value === undefined) return undefined;
  const { managers, dataPathPort, role, generation = 0, ...texts } = value;
  if (Object.keys(texts).length !== TEXT_FIELDS.length) return undefined;
  if (!TEXT_FIELDS.every((name) => typeof texts[name] === "string")) return undefined;
  if (role !== "manager" && role !== "worker") return undefined;
  if (!Number.isSafeInteger(generation)) return undefined;
  if (!Number.isInteger(dataPathPort) || !Array.isArray(managers)) return undefined;
  const addresses = managers.every(
    (entry) =>
      isObject(entry) && typeof entry["nodeId"] === "string" && typeof entry["addr"] === "string",
  );
  return addresses ? (value as unknown as NodeRecord) : undefined;
}

const TEXT_FIELDS = [
  "nodeId",
  "clusterId",
  "listenAddr",
  "advertiseAddr",
  "dataPathAddr",
] as const satisfies readonly (keyof NodeRecord)[];
