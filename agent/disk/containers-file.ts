// `<state>/containers/<id>/container.json`: one record a container. The folder also holds the
// container's log and how its lives ended, which the runtime writes; it goes as a whole.

import { readdir } from "node:fs/promises";
import { join } from "node:path";
import {
  ensureFolder,
  readIfThere,
  removeDurably,
  replaceFile,
} from "../../common/durable-files.js";
import { isLocalId } from "../../common/ids.js";
import { isObject, jsonObject } from "../../common/json-object.js";
import { EMPTY_SPEC } from "../task/container-spec.js";
import type { ContainerDisk } from "../task/keeping.js";
import { type ContainerRecord, RECORD_DEFAULTS } from "../task/life.js";

const FORMAT = 1;
const PHASES = ["created", "preparing", "starting", "running", "ended", "removing"];

export function containerDiskAt(stateDir: string): ContainerDisk {
  const root = join(stateDir, "containers");
  const folder = (id: string) => join(root, id);
  const file = (id: string) => join(folder(id), "container.json");
  return {
    async load() {
      const names = await readdir(root).catch(() => []);
      const records: ContainerRecord[] = [];
      const damaged: string[] = [];
      for (const id of names.filter(isLocalId)) {
        const data = await readIfThere(file(id));
        // A crash before the first save, or in the middle of the removal, left a folder that says nothing.
        if (data === undefined) {
          await removeDurably(folder(id));
          continue;
        }
        const record = parseContainerRecord(data.toString());
        if (record?.id === id) records.push(record);
        else damaged.push(file(id));
      }
      return { records, damaged };
    },
    async save(record) {
      await ensureFolder(folder(record.id), 0o700);
      await replaceFile(
        file(record.id),
        Buffer.from(JSON.stringify({ format: FORMAT, ...record })),
      );
    },
    async remove(id) {
      // The record first: without it the rest is rubbish that the next load clears away.
      await removeDurably(file(id));
      await removeDurably(folder(id));
    },
  };
}

/** Looks at what a record stands or falls with; the rest was written by this release, whole or not at all. */
function parseContainerRecord(text: string): ContainerRecord | undefined {
  const value = jsonObject(text);
  if (value === undefined || value["format"] !== FORMAT) return undefined;
  const { format: _format, ...record } = value;
  const { spec, endpoints } = record;
  if (!isObject(spec) || !Array.isArray(endpoints)) return undefined;
  if (typeof record["id"] !== "string" || !PHASES.includes(String(record["phase"])))
    return undefined;
  const numbers = ["createdAtMs", "life", "pid", "exitCode", "startedAtMs", "finishedAtMs"];
  if (!numbers.every((name) => typeof record[name] === "number")) return undefined;
  const lists = ["entrypoint", "command", "env", "endpoints"];
  if (!lists.every((name) => Array.isArray(spec[name]))) return undefined;
  if (!endpoints.every((entry) => isObject(entry) && typeof entry["id"] === "string")) {
    return undefined;
  }
  // A record of an earlier release lacks what came since.
  return {
    ...RECORD_DEFAULTS,
    ...record,
    spec: { ...EMPTY_SPEC, ...spec },
  } as unknown as ContainerRecord;
}
