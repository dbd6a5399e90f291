// Template text → tokens. Follows Go's text/template/parse/lex.go for the part of the language that
// is served here; its error words are kept.
import { TemplateError } from "./value.js";

export type TokenKind =
  | "text"
  | "open"
  | "close"
  | "field"
  | "variable"
  | "word"
  | "string"
  | "number"
  | "dot"
  | "pipe"
  | "declare"
  | "assign"
  | "comma"
  | "leftParen"
  | "rightParen"
  | "space"
  | "end";

export interface Token {
  readonly kind: TokenKind;
  readonly text: string;
  /** Offset in the source. */
  readonly at: number;
}

const OPEN = "{{";
const CLOSE = "}}";
const SPACE = " \t\r\n";

/** Line of an offset, from 1. */
function lineOf(source: string, at: number): number {
  return source.slice(0, at).split("\n").length;
}

export function parseFailure(source: string, at: number, why: string): TemplateError {
  return new TemplateError(`template: :${lineOf(source, at)}: ${why}`);
}

export function lex(source: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  let trimNext = false;
  while (at < source.length) {
    const found = source.indexOf(OPEN, at);
    const stop = found < 0 ? source.length : found;
    const trimThis = found >= 0 && opensWithTrim(source, found);
    let text = source.slice(at, stop);
    if (trimNext) text = text.replace(/^[ \t\r\n]+/, "");
    if (trimThis) text = text.replace(/[ \t\r\n]+$/, "");
    if (text !== "") tokens.push({ kind: "text", text, at });
    if (found < 0) break;
    const start = found + OPEN.length + (trimThis ? 2 : 0);
    const comment = lexComment(source, start);
    if (comment !== undefined) {
      at = comment.next;
      trimNext = comment.trim;
      continue;
    }
    tokens.push({ kind: "open", text: OPEN, at: found });
    const inside = lexAction(source, start, tokens);
    at = inside.next;
    trimNext = inside.trim;
  }
  tokens.push({ kind: "end", text: "", at: source.length });
  return tokens;
}

function opensWithTrim(source: string, at: number): boolean {
  return source[at + 2] === "-" && SPACE.includes(source[at + 3] ?? "x");
}

function lexComment(source: string, at: number): { next: number; trim: boolean } | undefined {
  if (!source.startsWith("/*", at)) return undefined;
  const stop = source.indexOf("*/", at);
  if (stop < 0) throw parseFailure(source, at, "unclosed comment");
  const after = /^(\s+-)?\}\}/.exec(source.slice(stop + 2));
  if (after === null) {
    throw parseFailure(source, at, "comment ends before closing delimiter");
  }
  return { next: stop + 2 + after[0].length, trim: after[1] !== undefined };
}

const PATTERNS: readonly (readonly [TokenKind, RegExp])[] = [
  ["space", /[ \t\r\n]+/y],
  ["field", /\.[\p{L}_][\p{L}\p{N}_]*/uy],
  ["variable", /\$[\p{L}\p{N}_]*/uy],
  ["number", /[+-]?(0[xX][0-9a-fA-F]+|\d+(\.\d*)?([eE][+-]?\d+)?)/y],
  ["word", /[\p{L}_][\p{L}\p{N}_]*/uy],
  ["dot", /\./y],
  ["declare", /:=/y],
  ["assign", /=/y],
  ["pipe", /\|/y],
  ["comma", /,/y],
  ["leftParen", /\(/y],
  ["rightParen", /\)/y],
];

function lexAction(
  source: string,
  start: number,
  tokens: Token[],
): { next: number; trim: boolean } {
  let at = start;
  let depth = 0;
  for (;;) {
    const trim = /^[ \t\r\n]+-\}\}/.exec(source.slice(at));
    if (trim !== null || source.startsWith(CLOSE, at)) {
      if (depth > 0) throw parseFailure(source, at, "unclosed left paren");
      tokens.push({ kind: "close", text: CLOSE, at });
      return { next: at + (trim?.[0].length ?? CLOSE.length), trim: trim !== null };
    }
    if (at >= source.length) throw parseFailure(source, start, "unclosed action");
    const token = lexString(source, at) ?? lexOne(source, at);
    if (token === undefined) throw parseFailure(source, at, badCharacter(source, at));
    if (token.kind === "leftParen") depth++;
    if (token.kind === "rightParen" && --depth < 0) {
      throw parseFailure(source, at, "unexpected right paren");
    }
    tokens.push(token);
    at += token.text.length;
  }
}

function lexOne(source: string, at: number): Token | undefined {
  for (const [kind, pattern] of PATTERNS) {
    pattern.lastIndex = at;
    const match = pattern.exec(source);
    if (match !== null) return { kind, text: match[0], at };
  }
  return undefined;
}

function lexString(source: string, at: number): Token | undefined {
  const quote = source[at];
  if (quote === "`") {
    const stop = source.indexOf("`", at + 1);
    if (stop < 0) throw parseFailure(source, at, "unterminated raw quoted string");
    return { kind: "string", text: source.slice(at, stop + 1), at };
  }
  if (quote !== '"') return undefined;
  for (let i = at + 1; i < source.length && source[i] !== "\n"; i++) {
    if (source[i] === "\\") i++;
    else if (source[i] === '"') return { kind: "string", text: source.slice(at, i + 1), at };
  }
  throw parseFailure(source, at, "unterminated quoted string");
}

function badCharacter(source: string, at: number): string {
  const point = source.codePointAt(at) ?? 0;
  const hex = point.toString(16).toUpperCase().padStart(4, "0");
  return `unrecognized character in action: U+${hex} '${String.fromCodePoint(point)}'`;
}
