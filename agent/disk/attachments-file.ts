// `<state>/attachments.json`: what people attached by hand. Written whole, atomically, mode 0600.

import { join } from "node:path";
import { readIfThere, replaceFile } from "../../common/durable-files.js";
import { Fault } from "../../common/fault.js";
import { isObject, jsonObject } from "../../common/json-object.js";
import type { AttachmentDisk, AttachmentRecord } from "../task/keeping.js";

const FORMAT = 1;

export function attachmentDiskAt(stateDir: string): AttachmentDisk {
  const path = join(stateDir, "attachments.json");
  return {
    async load() {
      const data = await readIfThere(path);
      if (data === undefined) return [];
      const records = parseAttachments(data.toString());
      if (records === undefined) throw new Fault("STATE_DAMAGED", { file: path });
      return records;
    },
    save: (attachments) =>
      replaceFile(path, Buffer.from(JSON.stringify({ format: FORMAT, attachments }))),
  };
}

function parseAttachments(text: string): readonly AttachmentRecord[] | undefined {
  const value = jsonObject(text);
  if (value === undefined || value["format"] !== FORMAT) return undefined;
  const { attachments } = value;
  if (!Array.isArray(attachments)) return undefined;
  const whole = attachments.every(
    (entry) =>
      isObject(entry) &&
      typeof entry["id"] === "string" &&
      typeof entry["interfaceName"] === "string" &&
      typeof entry["createdAtMs"] === "number" &&
      isObject(entry["wish"]),
  );
  return whole ? (attachments as AttachmentRecord[]) : undefined;
}
