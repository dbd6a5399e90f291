// The "Options:" block of a help page, laid out as spf13/pflag lays it out (FlagUsagesWrapped).
import type { Flag } from "../command.js";

export function flagTable(flags: readonly Flag[], columns: number): string {
  const rows = [...flags]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map((flag) => ({ left: leftOf(flag), right: flag.about + defaultOf(flag) }));
  // pflag counts one column for its own marker between the two.
  const widest = Math.max(...rows.map((row) => row.left.length)) + 1;
  return rows
    .map(({ left, right }) => {
      const gap = " ".repeat(widest - left.length);
      // docker leaves the last column of the terminal free.
      return `${left} ${gap} ${wrap(widest + 2, columns - 1, right)}\n`;
    })
    .map((line) => line.replace(/^(.*?) {2,}$/, "$1"))
    .join("");
}

function leftOf(flag: Flag): string {
  const name =
    flag.short === undefined ? `      --${flag.name}` : `  -${flag.short}, --${flag.name}`;
  return flag.type === "bool" ? name : `${name} ${flag.type}`;
}

const ALWAYS_SHOWN: Partial<Record<Flag["type"], string>> = { map: "map[]", ipNetSlice: "[]" };

function defaultOf(flag: Flag): string {
  const text = flag.fallback ?? ALWAYS_SHOWN[flag.type];
  if (text === undefined || text === "") return "";
  return flag.type === "string" ? ` (default "${text}")` : ` (default ${text})`;
}

// Spelled as in pflag's flag.go: a line may be this much longer when that spares a short last line.
const SLOP = 5;

/** Folds `text` into lines of `columns`, each after the first indented by `indent`. */
function wrap(indent: number, columns: number, text: string): string {
  let room = columns - indent;
  let left = indent;
  let out = "";
  // No sensible room beside the flags: a block on the next line instead.
  if (room < 24) {
    left = 16;
    room = columns - left;
    out += `\n${" ".repeat(left)}`;
  }
  const newline = `\n${" ".repeat(left)}`;
  if (room < 24) return text.replaceAll("\n", newline);
  const lines: string[] = [];
  let rest = text;
  do {
    const [line, after] = cut(room - SLOP, rest);
    lines.push(line.replaceAll("\n", newline));
    rest = after;
  } while (rest !== "");
  return out + lines.join(newline);
}

function cut(room: number, text: string): [string, string] {
  if (room + SLOP > text.length) return [text, ""];
  const head = text.slice(0, room);
  const space = Math.max(head.lastIndexOf(" "), head.lastIndexOf("\t"), head.lastIndexOf("\n"));
  if (space <= 0) return [text, ""];
  const newline = head.lastIndexOf("\n");
  const at = newline > 0 && newline < space ? newline : space;
  return [text.slice(0, at), text.slice(at + 1)];
}
