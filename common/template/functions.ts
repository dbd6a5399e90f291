// The functions of a format: Go's built-in ones and those that Docker adds (docker/cli
// templates/templates.go). A function throws a plain Error; the evaluator says where.
import { sprintf, typeName } from "./printf.js";
import { type GoValue, isList, isMap, isTrue, show, toJson } from "./value.js";

type Function = (...values: GoValue[]) => GoValue;

/** Functions that a template may call besides these; they stand before them. */
export type MoreFunctions = Readonly<Record<string, Function>>;

const FUNCTIONS: ReadonlyMap<string, { readonly min: number; readonly call: Function }> = new Map(
  Object.entries({
    // Go's.
    and: { min: 1, call: (...values) => values.find((value) => !isTrue(value)) ?? values.at(-1) },
    or: { min: 1, call: (...values) => values.find(isTrue) ?? values.at(-1) },
    not: { min: 1, call: (value) => !isTrue(value) },
    eq: { min: 2, call: (first, ...rest) => rest.some((value) => same(first, value)) },
    ne: { min: 2, call: (a, b) => !same(a, b) },
    lt: { min: 2, call: (a, b) => order(a, b) < 0 },
    le: { min: 2, call: (a, b) => order(a, b) <= 0 },
    gt: { min: 2, call: (a, b) => order(a, b) > 0 },
    ge: { min: 2, call: (a, b) => order(a, b) >= 0 },
    len: { min: 1, call: length },
    index: { min: 1, call: (value, ...keys) => keys.reduce(index, value) },
    slice: { min: 1, call: slice },
    print: { min: 0, call: (...values) => values.map(show).join(" ") },
    println: { min: 0, call: (...values) => `${values.map(show).join(" ")}\n` },
    printf: { min: 1, call: (format, ...values) => sprintf(text(format), values) },
    html: { min: 1, call: (value) => escapeHtml(show(value)) },
    urlquery: { min: 1, call: (value) => encodeURIComponent(show(value)) },
    // Docker's.
    json: { min: 1, call: (value) => toJson(value) },
    split: { min: 2, call: (value, by) => text(value).split(text(by)) },
    join: { min: 2, call: (list, by) => items(list).map(show).join(text(by)) },
    title: {
      min: 1,
      call: (value) => text(value).replace(/(^|\s)\p{L}/gu, (c) => c.toUpperCase()),
    },
    lower: { min: 1, call: (value) => text(value).toLowerCase() },
    upper: { min: 1, call: (value) => text(value).toUpperCase() },
    pad: {
      min: 3,
      call: (value, before, after) =>
        text(value) === ""
          ? ""
          : " ".repeat(Number(before)) + text(value) + " ".repeat(Number(after)),
    },
    truncate: { min: 2, call: (value, max) => [...text(value)].slice(0, Number(max)).join("") },
  } satisfies Record<string, { min: number; call: Function }>),
);

export function isFunction(name: string): boolean {
  return FUNCTIONS.has(name);
}

/** Functions that a table's header passes by (docker/cli templates.HeaderFunctions). */
export function isFormatting(name: string): boolean {
  return ["json", "title", "lower", "upper", "truncate"].includes(name);
}

export function callFunction(name: string, values: readonly GoValue[]): GoValue {
  const found = FUNCTIONS.get(name);
  if (found === undefined) throw new Error(`"${name}" is not a defined function`);
  if (values.length < found.min) {
    throw new Error(`wrong number of args for ${name}: want ${found.min} got ${values.length}`);
  }
  return found.call(...values);
}

function text(value: GoValue): string {
  if (typeof value === "string") return value;
  throw new Error(`wrong type for value; expected string; got ${typeName(value)}`);
}

function items(value: GoValue): readonly GoValue[] {
  if (isList(value)) return value;
  throw new Error(`wrong type for value; expected []string; got ${typeName(value)}`);
}

function same(a: GoValue, b: GoValue): boolean {
  if (a === null || a === undefined || b === null || b === undefined) {
    return (a ?? null) === (b ?? null);
  }
  if (typeof a !== typeof b) throw new Error("error calling eq: incompatible types for comparison");
  if (typeof a === "object") throw new Error("error calling eq: non-comparable type");
  return a === b;
}

function order(a: GoValue, b: GoValue): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  if (typeof a === "string" && typeof b === "string") return a < b ? -1 : a > b ? 1 : 0;
  throw new Error("error calling lt: incompatible types for comparison");
}

function length(value: GoValue): number {
  if (typeof value === "string") return Buffer.byteLength(value);
  if (isList(value)) return value.length;
  if (isMap(value)) return Object.keys(value).length;
  throw new Error(`error calling len: len of type ${typeName(value)}`);
}

function index(value: GoValue, key: GoValue): GoValue {
  if (value === undefined || value === null) {
    throw new Error("error calling index: index of untyped nil");
  }
  if (isList(value)) {
    if (typeof key !== "number") {
      throw new Error(`error calling index: cannot index slice/array with type ${typeName(key)}`);
    }
    if (key < 0 || key >= value.length) {
      throw new Error(`error calling index: index out of range: ${key}`);
    }
    return value[key];
  }
  if (isMap(value)) return value[text(key)];
  throw new Error(`error calling index: can't index item of type ${typeName(value)}`);
}

function slice(value: GoValue, from?: GoValue, to?: GoValue): GoValue {
  if (typeof value !== "string" && !isList(value)) {
    throw new Error(`error calling slice: can't slice item of type ${typeName(value)}`);
  }
  const start = typeof from === "number" ? from : 0;
  const stop = typeof to === "number" ? to : value.length;
  if (start < 0 || stop > value.length || start > stop) {
    throw new Error(`error calling slice: index out of range: ${stop}`);
  }
  return value.slice(start, stop);
}

function escapeHtml(value: string): string {
  const names: Record<string, string> = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&#34;",
    "'": "&#39;",
  };
  return value.replace(/[&<>"']/g, (c) => names[c] ?? c);
}
