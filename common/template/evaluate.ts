// Tree and data → text, after Go's text/template/exec.go with the option missingkey=error, which is
// how Docker runs its formats.
import { callFunction, isFormatting } from "./functions.js";
import { parse } from "./parse.js";
import { typeName } from "./printf.js";
import type { Command, Node, Operand, Pipeline, Template } from "./tree.js";
import {
  Fields,
  type GoValue,
  isList,
  isMap,
  isTrue,
  show,
  sortedKeys,
  TemplateError,
} from "./value.js";

/**
 * What the template is run for. In a table's header the fields are titles: one that is not there is
 * nothing, and functions that change a value leave a title as it is.
 */
export type Purpose = "data" | "header";

export function execute(template: Template, data: GoValue, purpose: Purpose = "data"): string {
  return new Evaluator(template, data, purpose).run(template.nodes, data);
}

export function render(source: string, data: GoValue): string {
  return execute(parse(source), data);
}

class Evaluator {
  /** Innermost last; a name may be there more than once. */
  private variables: { readonly name: string; value: GoValue }[];

  constructor(
    private readonly template: Template,
    data: GoValue,
    private readonly purpose: Purpose,
  ) {
    this.variables = [{ name: "$", value: data }];
  }

  run(nodes: readonly Node[], dot: GoValue): string {
    let out = "";
    for (const node of nodes) out += this.node(node, dot);
    return out;
  }

  private node(node: Node, dot: GoValue): string {
    switch (node.kind) {
      case "text":
        return node.text;
      case "show": {
        const value = this.pipeline(node.pipeline, dot);
        return node.pipeline.variables.length > 0 ? "" : show(value);
      }
      case "if":
      case "with":
        return this.scoped(() => {
          const value = this.pipeline(node.pipeline, dot);
          if (!isTrue(value)) return this.run(node.otherwise, dot);
          return this.run(node.body, node.kind === "with" ? value : dot);
        });
      case "range":
        return this.scoped(() => this.range(node, dot));
    }
  }

  private range(node: Node & { kind: "if" | "range" | "with" }, dot: GoValue): string {
    const names = node.pipeline.variables;
    const value = this.pipeline({ ...node.pipeline, variables: [] }, dot);
    const pairs = entriesOf(value);
    if (pairs === undefined) {
      const command = node.pipeline.commands[0];
      throw this.fail(command?.operands[0], `range can't iterate over ${show(value)}`);
    }
    if (pairs.length === 0) return this.run(node.otherwise, dot);
    let out = "";
    for (const [key, item] of pairs) {
      out += this.scoped(() => {
        if (names.length === 1) this.variables.push({ name: names[0] ?? "", value: item });
        if (names.length === 2) {
          this.variables.push({ name: names[0] ?? "", value: key });
          this.variables.push({ name: names[1] ?? "", value: item });
        }
        return this.run(node.body, item);
      });
    }
    return out;
  }

  private scoped(body: () => string): string {
    const depth = this.variables.length;
    const out = body();
    this.variables = this.variables.slice(0, depth);
    return out;
  }

  private pipeline(pipeline: Pipeline, dot: GoValue): GoValue {
    let value: GoValue;
    pipeline.commands.forEach((command, i) => {
      value = this.command(command, dot, i === 0 ? [] : [value]);
    });
    const name = pipeline.variables[0];
    if (name !== undefined) {
      if (pipeline.declares) this.variables.push({ name, value });
      else this.lookUp(name).value = value;
    }
    return value;
  }

  private command(command: Command, dot: GoValue, piped: readonly GoValue[]): GoValue {
    const [first, ...rest] = command.operands;
    if (first === undefined) return undefined;
    if (first.kind === "function") {
      return this.call({ ...first, text: command.text }, rest, dot, piped);
    }
    const value = this.operand(first, dot);
    if (rest.length > 0 || piped.length > 0) {
      const what = first.kind === "field" ? first.path.at(-1) : first.text;
      throw this.fail(first, `${what} has arguments but cannot be invoked as function`);
    }
    return value;
  }

  private call(
    first: Operand & { kind: "function" },
    rest: readonly Operand[],
    dot: GoValue,
    piped: readonly GoValue[],
  ): GoValue {
    const { name } = first;
    const values: GoValue[] = [];
    for (const operand of rest) {
      const value = this.operand(operand, dot);
      // `and` and `or` stop at the operand that decides, as Go's do since 1.18.
      if ((name === "and" && !isTrue(value)) || (name === "or" && isTrue(value))) return value;
      values.push(value);
    }
    if (this.purpose === "header" && isFormatting(name)) return [...values, ...piped][0];
    try {
      const own = Object.hasOwn(this.template.functions, name) && this.template.functions[name];
      return own ? own(...values, ...piped) : callFunction(name, [...values, ...piped]);
    } catch (error) {
      if (error instanceof TemplateError) throw error;
      throw this.fail(first, error instanceof Error ? error.message : String(error));
    }
  }

  private operand(operand: Operand, dot: GoValue): GoValue {
    switch (operand.kind) {
      case "dot":
        return dot;
      case "nil":
        return null;
      case "literal":
        return operand.value;
      case "variable":
        return this.lookUp(operand.name).value;
      case "pipeline":
        return this.pipeline(operand.pipeline, dot);
      case "function":
        return this.call(operand, [], dot, []);
      case "field": {
        let value = operand.of === undefined ? dot : this.operand(operand.of, dot);
        let typed = false;
        for (const name of operand.path) {
          const inner = this.field(operand, value, name, typed);
          typed = value instanceof Fields;
          value = inner;
        }
        return value;
      }
    }
  }

  /** `typed`: Go knows the type of `of`, because it is a row's field. */
  private field(at: Operand, of: GoValue, name: string, typed: boolean): GoValue {
    if (of instanceof Fields) {
      if (of.has(name)) return of.get(name);
      throw this.fail(at, `can't evaluate field ${name} in type ${of.typeName}`);
    }
    if (of === null || of === undefined) {
      if (this.purpose === "header") return undefined;
      throw this.fail(at, `nil pointer evaluating interface {}.${name}`);
    }
    if (!isMap(of)) {
      const type = typed ? typeName(of) : "interface {}";
      throw this.fail(at, `can't evaluate field ${name} in type ${type}`);
    }
    const key = keyOf(of, name);
    if (key !== undefined) return of[key];
    if (this.purpose === "header") return undefined;
    throw this.fail(at, `map has no entry for key "${name}"`);
  }

  private lookUp(name: string): { value: GoValue } {
    const found = this.variables.findLast((variable) => variable.name === name);
    if (found === undefined) throw new TemplateError(`template: undefined variable: ${name}`);
    return found;
  }

  private fail(at: Operand | undefined, why: string): TemplateError {
    const offset = at?.at ?? 0;
    const before = this.template.source.slice(0, offset);
    const line = before.split("\n").length;
    const column = offset - (before.lastIndexOf("\n") + 1);
    const text = at?.text ?? "";
    // Go shows at most 20 characters of the expression.
    const shown = text.length > 20 ? `${text.slice(0, 20)}...` : text;
    return new TemplateError(`template: :${line}:${column}: executing "" at <${shown}>: ${why}`);
  }
}

const OTHER_SPELLING: Readonly<Record<string, string>> = {
  ID: "Id",
  Id: "ID",
  APIVersion: "ApiVersion",
};

/**
 * The API writes `Id` where the Go struct's field is `ID`, and people write either; Docker finds the
 * one by its types and the other in the raw JSON.
 */
function keyOf(map: object, name: string): string | undefined {
  if (Object.hasOwn(map, name)) return name;
  const other = OTHER_SPELLING[name];
  return other !== undefined && Object.hasOwn(map, other) ? other : undefined;
}

function entriesOf(value: GoValue): readonly (readonly [GoValue, GoValue])[] | undefined {
  if (value === null || value === undefined) return [];
  if (isList(value)) return value.map((item, i) => [i, item] as const);
  if (isMap(value)) return sortedKeys(value).map((key) => [key, value[key]] as const);
  if (typeof value === "number") {
    return Array.from({ length: Math.max(0, value) }, (_, i) => [i, i] as const);
  }
  return undefined;
}
