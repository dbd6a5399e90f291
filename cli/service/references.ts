// `--secret` and `--config`: "name", or "source=name,target=file,uid=0,gid=0,mode=0440"; and the lookup
// of what they name.

import { mustKeyValues, WrongValue } from "../args/fields.js";
import { type Cli, Failure } from "../cli.js";
import { list, text } from "../json.js";

export interface Reference {
  readonly source: string;
  readonly File: {
    readonly Name: string;
    readonly UID: string;
    readonly GID: string;
    readonly Mode: number;
  };
}

const MODE_DEFAULT = 0o444;

export function parseReference(written: string): Reference {
  if (!written.includes("=") && !written.includes(",")) {
    const source = written.trim();
    if (source === "") throw new WrongValue("source is required");
    return { source, File: { Name: source, UID: "0", GID: "0", Mode: MODE_DEFAULT } };
  }
  let source = "";
  let target = "";
  let UID = "0";
  let GID = "0";
  let Mode = MODE_DEFAULT;
  for (const { key, value } of mustKeyValues(written)) {
    if (value === undefined) {
      throw new WrongValue(`invalid field '${key}' must be a key=value pair`);
    }
    switch (key) {
      case "source":
      case "src":
        source = value;
        break;
      case "target":
        target = value;
        break;
      case "uid":
        UID = value;
        break;
      case "gid":
        GID = value;
        break;
      case "mode":
        if (!/^0?[0-7]{1,4}$/.test(value)) throw new WrongValue(`invalid mode specified: ${value}`);
        Mode = Number.parseInt(value, 8);
        break;
      default:
        throw new WrongValue(`invalid field in ${key} request: ${key}`);
    }
  }
  if (source === "") throw new WrongValue("source is required");
  return { source, File: { Name: target || source, UID, GID, Mode } };
}

/** The API's references, with the ids; what is not there, and a target that is named twice, is refused. */
export async function findReferences(
  cli: Cli,
  kind: "secret" | "config",
  written: readonly string[],
): Promise<readonly Record<string, unknown>[]> {
  if (written.length === 0) return [];
  const references = written.map(parseReference);
  const targets = references.map(({ File }) => File.Name);
  const twice = targets.find((name, i) => targets.indexOf(name) !== i);
  if (twice !== undefined) {
    const name = references.find(({ File }) => File.Name === twice)?.source;
    throw new Failure(`duplicate ${kind} target for ${name} not allowed`);
  }
  const names = Object.fromEntries(references.map(({ source }) => [source, true]));
  const found = await cli.api.get(`/${kind}s`, {
    query: { filters: JSON.stringify({ name: names }) },
  });
  const word = kind === "secret" ? "Secret" : "Config";
  return references.map(({ source, File }) => {
    const object = list(found).find((one) => text(one, "Spec", "Name") === source);
    if (object === undefined) throw new Failure(`${kind} not found: ${source}`);
    return { File, [`${word}ID`]: text(object, "ID"), [`${word}Name`]: source };
  });
}
