// Numbers with units, and words of a command line, as flags take them.

const UNITS = "bkmgtp";

/** go-units' RAMInBytes: "64M", "1.5gib", "512"; powers of 1024. */
export function parseBytes(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?) ?(?:([kmgtp])?i?b?|b)$/i.exec(text);
  if (match === null) return undefined;
  const power = UNITS.indexOf((match[2] ?? "b").toLowerCase());
  return Math.trunc(Number(match[1]) * 1024 ** power);
}

/** "0.5" CPUs in billionths; undefined: no such number, or finer than a billionth. */
export function parseNanoCpus(text: string): number | undefined {
  if (!/^\d*\.?\d+$/.test(text)) return undefined;
  const nano = Number(text) * 1e9;
  return Math.abs(nano - Math.round(nano)) < 1e-3 ? Math.round(nano) : undefined;
}

/** A command line in words: quotes and backslashes as a shell has them, and nothing else of a shell. */
export function shellWords(text: string): readonly string[] | undefined {
  const words: string[] = [];
  let word: string | undefined;
  for (let i = 0; i < text.length; i++) {
    const letter = text[i] ?? "";
    if (/\s/.test(letter)) {
      if (word !== undefined) words.push(word);
      word = undefined;
      continue;
    }
    word ??= "";
    if (letter === "'") {
      const end = text.indexOf("'", i + 1);
      if (end < 0) return undefined;
      word += text.slice(i + 1, end);
      i = end;
    } else if (letter === '"') {
      const quoted = /^"((?:[^"\\]|\\.)*)"/s.exec(text.slice(i));
      if (quoted === null) return undefined;
      word += (quoted[1] ?? "").replace(/\\(["\\$`])/g, "$1");
      i += quoted[0].length - 1;
    } else if (letter === "\\") {
      i++;
      if (i >= text.length) return undefined;
      word += text[i];
    } else word += letter;
  }
  if (word !== undefined) words.push(word);
  return words;
}

/** "nofile=1024:2048" or "nproc=64". -1 is no limit. */
export function parseUlimit(
  text: string,
): { readonly Name: string; readonly Soft: number; readonly Hard: number } | undefined {
  const match = /^([a-z]+)=(-?\d+)(?::(-?\d+))?$/.exec(text);
  if (match === null) return undefined;
  const soft = Number(match[2]);
  return {
    Name: match[1] ?? "",
    Soft: soft,
    Hard: match[3] === undefined ? soft : Number(match[3]),
  };
}
