// Tokens → tree, after Go's text/template/parse/parse.go. `define`, `template` and `block` are not
// served: no format of Docker's can use them.
import { isFunction, type MoreFunctions } from "./functions.js";
import { lex, parseFailure, type Token, type TokenKind } from "./lex.js";
import type { Command, Node, Operand, Pipeline, Template } from "./tree.js";

export function parse(source: string, functions: MoreFunctions = {}): Template {
  const parser = new Parser(source, functions);
  return { source, nodes: parser.whole(), functions };
}

interface Block {
  readonly nodes: Node[];
  readonly closedBy: "end" | "else" | "source";
}

class Parser {
  private readonly tokens: readonly Token[];
  private next = 0;
  /** Declared names, innermost last; `$` is the data itself. */
  private variables: string[] = ["$"];

  constructor(
    private readonly source: string,
    private readonly functions: MoreFunctions,
  ) {
    this.tokens = lex(source);
  }

  whole(): Node[] {
    const block = this.block();
    if (block.closedBy !== "source") {
      throw this.fail(this.tokens[this.next - 2], `unexpected {{${block.closedBy}}}`);
    }
    return block.nodes;
  }

  private block(): Block {
    const nodes: Node[] = [];
    for (;;) {
      const token = this.take();
      if (token.kind === "end") return { nodes, closedBy: "source" };
      if (token.kind === "text") {
        nodes.push({ kind: "text", text: token.text });
        continue;
      }
      this.skipSpace();
      const word = this.peek();
      if (word.kind === "word" && (word.text === "end" || word.text === "else")) {
        this.take();
        if (word.text === "end") this.closeAction("end");
        return { nodes, closedBy: word.text };
      }
      nodes.push(this.action(word));
    }
  }

  private action(word: Token): Node {
    if (word.kind === "word" && isControl(word.text)) {
      this.take();
      return this.control(word.text);
    }
    const pipeline = this.pipeline("close", "command");
    return { kind: "show", pipeline };
  }

  private control(kind: "if" | "range" | "with"): Node {
    const scope = this.variables.length;
    const pipeline = this.pipeline("close", kind);
    const body = this.block();
    let otherwise: readonly Node[] = [];
    if (body.closedBy === "else") otherwise = this.elseBranch(kind);
    else if (body.closedBy === "source") throw this.fail(undefined, "unexpected EOF");
    this.variables = this.variables.slice(0, scope);
    return { kind, pipeline, body: body.nodes, otherwise };
  }

  /** After `{{else`: either `}}` and a block, or ` if …}}`, which shares the outer `{{end}}`. */
  private elseBranch(kind: "if" | "range" | "with"): readonly Node[] {
    this.skipSpace();
    const word = this.peek();
    if (word.kind === "word" && word.text === kind && kind !== "range") {
      this.take();
      return [this.control(kind)];
    }
    this.closeAction("else");
    const block = this.block();
    if (block.closedBy === "source") throw this.fail(undefined, "unexpected EOF");
    if (block.closedBy === "else") throw this.fail(this.peek(), "expected end; found {{else}}");
    return block.nodes;
  }

  private closeAction(context: string): void {
    this.skipSpace();
    const token = this.take();
    if (token.kind !== "close") throw this.unexpected(token, context);
  }

  private pipeline(closer: TokenKind, context: string): Pipeline {
    this.skipSpace();
    const { variables, declares } = this.declaration(context);
    const commands: Command[] = [];
    for (;;) {
      this.skipSpace();
      const token = this.peek();
      if (token.kind === closer) {
        this.take();
        if (commands.length === 0) throw this.fail(token, `missing value for ${context}`);
        break;
      }
      commands.push(this.command());
      this.skipSpace();
      if (this.peek().kind === "pipe") {
        this.take();
      }
    }
    this.checkPipeline(commands);
    this.variables.push(...(declares ? variables : []));
    return { variables, declares, commands };
  }

  private declaration(context: string): { variables: readonly string[]; declares: boolean } {
    const start = this.next;
    const names: string[] = [];
    for (;;) {
      this.skipSpace();
      const token = this.peek();
      if (token.kind !== "variable") break;
      this.take();
      names.push(token.text);
      this.skipSpace();
      const after = this.peek();
      if (after.kind === "comma" && context === "range" && names.length < 2) {
        this.take();
        continue;
      }
      if (after.kind === "declare" || after.kind === "assign") {
        this.take();
        return { variables: names, declares: after.kind === "declare" };
      }
      break;
    }
    this.next = start;
    return { variables: [], declares: false };
  }

  /** Only the first command of a pipeline may be something that cannot be called. */
  private checkPipeline(commands: readonly Command[]): void {
    commands.forEach((command, i) => {
      const first = command.operands[0];
      if (i === 0 || first === undefined) return;
      if (first.kind === "literal" || first.kind === "nil" || first.kind === "dot") {
        throw parseFailure(
          this.source,
          first.at,
          `non executable command in pipeline stage ${i + 1}`,
        );
      }
    });
  }

  private command(): Command {
    const at = this.peek().at;
    const operands: Operand[] = [];
    for (;;) {
      this.skipSpace();
      const operand = this.operand();
      if (operand === undefined) break;
      operands.push(operand);
      if (this.peek().kind !== "space") break;
    }
    if (operands.length === 0) throw this.unexpected(this.peek(), "operand");
    const after = this.peek();
    const ends: readonly TokenKind[] = ["space", "close", "pipe", "rightParen"];
    if (!ends.includes(after.kind)) throw this.unexpected(after, "operand");
    return { operands, text: this.textFrom(at) };
  }

  private operand(): Operand | undefined {
    const token = this.peek();
    const base = this.term(token);
    if (base === undefined) return undefined;
    if (this.peek().kind !== "field" || base.kind === "field") return base;
    const at = this.peek().at;
    const path = this.fieldPath();
    return { kind: "field", of: base, path, at, text: this.textFrom(token.at) };
  }

  private term(token: Token): Operand | undefined {
    const { at, text } = token;
    switch (token.kind) {
      case "field": {
        const path = this.fieldPath();
        // Go places a chain of fields where its second one begins.
        const place = path.length > 1 ? at + 1 + (path[0]?.length ?? 0) : at;
        return { kind: "field", of: undefined, path, at: place, text: this.textFrom(at) };
      }
      case "dot":
        this.take();
        return { kind: "dot", at, text };
      case "variable":
        this.take();
        if (!this.variables.includes(text)) {
          throw this.fail(token, `undefined variable "${text}"`);
        }
        return { kind: "variable", name: text, at, text };
      case "string":
        this.take();
        return { kind: "literal", value: unquote(this.source, token), at, text };
      case "number":
        this.take();
        return { kind: "literal", value: Number(text), at, text };
      case "leftParen": {
        this.take();
        const pipeline = this.pipeline("rightParen", "parenthesized pipeline");
        return { kind: "pipeline", pipeline, at, text: this.textFrom(at) };
      }
      case "word":
        this.take();
        return this.word(token);
      default:
        return undefined;
    }
  }

  private word(token: Token): Operand {
    const { at, text } = token;
    if (text === "true" || text === "false") {
      return { kind: "literal", value: text === "true", at, text };
    }
    if (text === "nil") return { kind: "nil", at, text };
    if (!Object.hasOwn(this.functions, text) && !isFunction(text))
      throw this.fail(token, `function "${text}" not defined`);
    return { kind: "function", name: text, at, text };
  }

  private fieldPath(): string[] {
    const path: string[] = [];
    while (this.peek().kind === "field") path.push(this.take().text.slice(1));
    return path;
  }

  private textFrom(at: number): string {
    return this.source.slice(at, this.peek().at).trimEnd();
  }

  private peek(): Token {
    return this.tokens[this.next] ?? { kind: "end", text: "", at: this.source.length };
  }

  private take(): Token {
    const token = this.peek();
    this.next++;
    return token;
  }

  private skipSpace(): void {
    while (this.peek().kind === "space") this.next++;
  }

  private unexpected(token: Token, context: string): Error {
    if (token.kind === "end") return this.fail(token, "unexpected EOF");
    const shown = token.kind === "close" ? '"}}"' : `"${token.text}"`;
    return this.fail(token, `unexpected ${shown} in ${context}`);
  }

  private fail(token: Token | undefined, why: string): Error {
    return parseFailure(this.source, token?.at ?? this.source.length, why);
  }
}

function isControl(word: string): word is "if" | "range" | "with" {
  return word === "if" || word === "range" || word === "with";
}

function unquote(source: string, token: Token): string {
  if (token.text.startsWith("`")) return token.text.slice(1, -1);
  try {
    const value: unknown = JSON.parse(token.text.replaceAll("\\'", "'"));
    if (typeof value === "string") return value;
  } catch {
    // Falls through to the one message that Go has for every bad escape.
  }
  throw parseFailure(source, token.at, `invalid syntax: ${token.text}`);
}
