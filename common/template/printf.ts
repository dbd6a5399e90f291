// Package fmt's Printf for the verbs that formats use: %s %v %q %d %t %x %f %%, with width,
// precision and the flags "-", "0" and "+".
import { GoTime, type GoValue, show } from "./value.js";

// Go's fmt (tooLarge).
const WIDTH_MAX = 1_000_000;

export function sprintf(format: string, values: readonly GoValue[]): string {
  let used = 0;
  const text = format.replace(
    /%([-+0# ]*)(\d*)(?:\.(\d+))?([a-zA-Z%])/g,
    (_whole, flags: string, width: string, precision: string | undefined, verb: string) => {
      if (verb === "%") return "%";
      if (used >= values.length) return `%!${verb}(MISSING)`;
      const shown = formatOne(verb, values[used++], precision, flags);
      const wide = Number(width || "0");
      if (wide > WIDTH_MAX) return "%!(BADWIDTH)";
      if (flags.includes("-")) return shown.padEnd(wide);
      return shown.padStart(wide, flags.includes("0") && verb !== "s" ? "0" : " ");
    },
  );
  const extra = values.slice(used);
  if (extra.length === 0) return text;
  return `${text}%!(EXTRA ${extra.map((value) => `${typeName(value)}=${show(value)}`).join(", ")})`;
}

function formatOne(
  verb: string,
  value: GoValue,
  precision: string | undefined,
  flags: string,
): string {
  const sign = flags.includes("+") && typeof value === "number" && value >= 0 ? "+" : "";
  switch (verb) {
    case "v":
      return sign + show(value);
    case "s": {
      const text = show(value);
      return precision === undefined ? text : [...text].slice(0, Number(precision)).join("");
    }
    case "q":
      return JSON.stringify(show(value));
    case "d":
      if (typeof value === "number") return sign + String(Math.trunc(value));
      break;
    case "t":
      if (typeof value === "boolean") return String(value);
      break;
    case "f":
      if (typeof value === "number") return sign + value.toFixed(Number(precision ?? "6"));
      break;
    case "x":
      if (typeof value === "number") return value.toString(16);
      if (typeof value === "string") return Buffer.from(value, "utf8").toString("hex");
      break;
  }
  return `%!${verb}(${typeName(value)}=${show(value)})`;
}

export function typeName(value: GoValue): string {
  if (value === undefined || value === null) return "<nil>";
  if (typeof value === "number") return Number.isInteger(value) ? "int" : "float64";
  if (typeof value === "boolean") return "bool";
  if (typeof value === "string") return "string";
  if (value instanceof GoTime) return "time.Time";
  return Array.isArray(value) ? "[]interface {}" : "map[string]interface {}";
}
