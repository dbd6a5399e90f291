// Of what a manager sends: enough to know what it was, so that a thousand agents fit on one machine. An agent reads all.
import { BinaryReader } from "@bufbuild/protobuf/wire";

export type Glance =
  | { readonly kind: "welcome"; readonly beatMs: number }
  | {
      readonly kind: "assignments";
      readonly revision: number;
      /** Of all kinds, with those that are removed. */
      readonly rows: number;
    }
  | { readonly kind: "other" };

// proto/dispatcher.proto: ManagerMessage, Welcome, Assignments.
const WELCOME = 1;
const ASSIGNMENTS = 2;
const BEAT_MS = 4;
const FULL = 1;
const REVISION = 2;
const DATA_PATH_PORTS = 17;

export function glanceAt(bytes: Uint8Array): Glance {
  const reader = new BinaryReader(bytes);
  const [field] = reader.tag();
  const end = reader.uint32() + reader.pos;
  if (field === WELCOME) return { kind: "welcome", beatMs: numberIn(reader, end, BEAT_MS) };
  if (field !== ASSIGNMENTS) return { kind: "other" };
  let revision = 0;
  let rows = 0;
  while (reader.pos < end) {
    const [each, type] = reader.tag();
    if (each === REVISION) revision = Number(reader.uint64());
    else {
      if (each !== FULL && each !== DATA_PATH_PORTS) rows++;
      reader.skip(type, each);
    }
  }
  return { kind: "assignments", revision, rows };
}

function numberIn(reader: BinaryReader, end: number, wanted: number): number {
  let value = 0;
  while (reader.pos < end) {
    const [field, type] = reader.tag();
    if (field === wanted) value = Number(reader.uint64());
    else reader.skip(type, field);
  }
  return value;
}
