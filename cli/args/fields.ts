// One comma-separated value of a flag ("type=bind,source=/a,target=/b"), as Go's encoding/csv reads a line.
import { Failure } from "../cli.js";

/** The fields, with "" undoubled inside of quotes; undefined: a quote is out of place. */
function csvFields(text: string): readonly string[] | undefined {
  const fields: string[] = [];
  let at = 0;
  for (;;) {
    if (text[at] === '"') {
      const quoted = /^"((?:[^"]|"")*)"(,|$)/.exec(text.slice(at));
      if (quoted === null) return undefined;
      fields.push((quoted[1] ?? "").replaceAll('""', '"'));
      at += quoted[0].length;
      if (quoted[2] === "") return fields;
      continue;
    }
    const comma = text.indexOf(",", at);
    const field = text.slice(at, comma < 0 ? undefined : comma);
    if (field.includes('"')) return undefined;
    fields.push(field);
    if (comma < 0) return fields;
    at = comma + 1;
  }
}

export interface Field {
  readonly key: string;
  /** Undefined: the key stood alone. */
  readonly value: string | undefined;
}

/** At the first "="; without one there is no value. */
export function cut(text: string): readonly [string, string | undefined] {
  const at = text.indexOf("=");
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

/** Keys in lower case. */
function keyValues(text: string): readonly Field[] | undefined {
  return csvFields(text)?.map((field) => {
    const [key, value] = cut(field);
    return { key: key.trim().toLowerCase(), value: value?.trim() };
  });
}

/** What is wrong with a flag's value, in the client's words. */
export class WrongValue extends Failure {}

export function mustKeyValues(text: string): readonly Field[] {
  const fields = keyValues(text);
  if (fields === undefined)
    throw new WrongValue(`parse error on line 1: bare " in non-quoted-field`);
  return fields;
}

/** Why the value is none of the kind that `parse` reads. */
export function whyNotRead(parse: (text: string) => unknown, text: string): string | undefined {
  try {
    parse(text);
    return undefined;
  } catch (error) {
    if (error instanceof WrongValue) return error.message;
    throw error;
  }
}
