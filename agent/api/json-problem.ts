// What is wrong with a text that is no JSON, in the words of Go's encoding/json (scanner.go), which
// Docker's clients know. It runs only after JSON.parse has refused the text.

interface Cursor {
  readonly text: string;
  at: number;
}
class Problem extends Error {}

const END = "unexpected end of JSON input";
// Deeper than any request of the API; JSON.parse has its own, larger limit.
const DEPTH_MAX = 1_000;

export function jsonProblem(text: string): string {
  const cursor = { text, at: 0 };
  try {
    value(cursor, 0);
    skipSpace(cursor);
    return unexpected(cursor, "after top-level value").message;
  } catch (error) {
    return error instanceof Problem ? error.message : "invalid JSON";
  }
}

function value(cursor: Cursor, depth: number): void {
  if (depth > DEPTH_MAX) throw new Problem("exceeded max depth");
  skipSpace(cursor);
  const char = cursor.text[cursor.at];
  if (char === "{") object(cursor, depth);
  else if (char === "[") array(cursor, depth);
  else if (char === '"') string(cursor);
  else if (char === "t") literal(cursor, "true");
  else if (char === "f") literal(cursor, "false");
  else if (char === "n") literal(cursor, "null");
  else if (char !== undefined && /[-0-9]/.test(char)) number(cursor);
  else throw unexpected(cursor, "looking for beginning of value");
}

function object(cursor: Cursor, depth: number): void {
  cursor.at++;
  if (take(cursor, "}")) return;
  for (;;) {
    skipSpace(cursor);
    if (cursor.text[cursor.at] !== '"') {
      throw unexpected(cursor, "looking for beginning of object key string");
    }
    string(cursor);
    if (!take(cursor, ":")) throw unexpected(cursor, "after object key");
    value(cursor, depth + 1);
    if (take(cursor, "}")) return;
    if (!take(cursor, ",")) throw unexpected(cursor, "after object key:value pair");
  }
}

function array(cursor: Cursor, depth: number): void {
  cursor.at++;
  if (take(cursor, "]")) return;
  for (;;) {
    value(cursor, depth + 1);
    if (take(cursor, "]")) return;
    if (!take(cursor, ",")) throw unexpected(cursor, "after array element");
  }
}

function string(cursor: Cursor): void {
  for (cursor.at++; cursor.text[cursor.at] !== '"'; cursor.at++) {
    const char = cursor.text[cursor.at];
    if (char === undefined || char < " ") throw unexpected(cursor, "in string literal");
    if (char !== "\\") continue;
    cursor.at++;
    const escaped = /^(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/.exec(
      cursor.text.slice(cursor.at, cursor.at + 5),
    );
    if (!escaped) throw unexpected(cursor, "in string escape code");
    cursor.at += escaped[0].length - 1;
  }
  cursor.at++;
}

function number(cursor: Cursor): void {
  const rest = cursor.text.slice(cursor.at);
  const match = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?/.exec(rest);
  if (match) cursor.at += match[0].length;
  else {
    cursor.at++;
    throw unexpected(cursor, "in numeric literal");
  }
}

function literal(cursor: Cursor, word: string): void {
  for (const [i, want] of [...word].entries()) {
    if (cursor.text[cursor.at] !== want) {
      const where =
        i === 0 ? "looking for beginning of value" : `in literal ${word} (expecting '${want}')`;
      throw unexpected(cursor, where);
    }
    cursor.at++;
  }
}

function take(cursor: Cursor, char: string): boolean {
  skipSpace(cursor);
  if (cursor.text[cursor.at] !== char) return false;
  cursor.at++;
  return true;
}

function skipSpace(cursor: Cursor): void {
  while (/[ \t\r\n]/.test(cursor.text[cursor.at] ?? "x")) cursor.at++;
}

function unexpected(cursor: Cursor, where: string): Problem {
  const code = cursor.text.codePointAt(cursor.at);
  if (code === undefined) return new Problem(END);
  return new Problem(`invalid character ${quoted(String.fromCodePoint(code))} ${where}`);
}

// Go's quoteChar.
function quoted(char: string): string {
  if (char === "'") return "'\\''";
  if (char === '"') return "'\"'";
  const plain = JSON.stringify(char).slice(1, -1);
  return `'${plain}'`;
}
