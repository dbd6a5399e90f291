// JSON values on a stream, a line each.
import type { Readable } from "node:stream";
import { StringDecoder } from "node:string_decoder";
import { reading } from "../http/failure.js";
import { type Json, parseJson } from "../json.js";

export interface JsonLine {
  readonly json: Json;
  readonly text: string;
}

export async function* jsonLines(stream: Readable): AsyncGenerator<JsonLine> {
  const decoder = new StringDecoder("utf8");
  let rest = "";
  for await (const chunk of reading(stream)) {
    rest += decoder.write(Buffer.from(chunk));
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    yield* lines.map(read).filter((line) => line !== undefined);
  }
  const last = read(rest + decoder.end());
  if (last !== undefined) yield last;
}

function read(line: string): JsonLine | undefined {
  const text = line.trim();
  const json = text === "" ? undefined : parseJson(text);
  return json === undefined ? undefined : { json, text };
}
