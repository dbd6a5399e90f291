// The keys that leave a container running and give the terminal back: by default ctrl-p ctrl-q.
import { Failure } from "../cli.js";

const DEFAULT_KEYS = "ctrl-p,ctrl-q";
const CONTROL_SIGNS: Readonly<Record<string, number>> = {
  "@": 0,
  "[": 27,
  "\\": 28,
  "]": 29,
  "^": 30,
  _: 31,
};

/** moby/term ascii.go: "a", "ctrl-p", "ctrl-@", joined by commas. */
export function parseDetachKeys(text: string): Uint8Array {
  const keys = (text || DEFAULT_KEYS).split(",").map((key) => {
    if (/^[\x20-\x7e]$/.test(key)) return key.charCodeAt(0);
    const sign = /^ctrl-([a-z@[\\\]^_])$/.exec(key)?.[1];
    if (sign === undefined) throw new Failure(`invalid detach keys (${text}) provided`);
    return CONTROL_SIGNS[sign] ?? sign.charCodeAt(0) - "a".charCodeAt(0) + 1;
  });
  return Uint8Array.from(keys);
}

/** Passes typed bytes on until the sequence is complete; holds back only what may be part of it. */
export class DetachWatch {
  private matched = 0;

  constructor(private readonly keys: Uint8Array) {}

  push(typed: Uint8Array): { readonly pass: Uint8Array; readonly detached: boolean } {
    const pass: number[] = [];
    for (const byte of typed) {
      if (byte !== this.keys[this.matched]) {
        pass.push(...this.keys.subarray(0, this.matched));
        this.matched = 0;
      }
      if (byte !== this.keys[this.matched]) {
        pass.push(byte);
        continue;
      }
      this.matched++;
      if (this.matched === this.keys.length) return { pass: Uint8Array.from(pass), detached: true };
    }
    return { pass: Uint8Array.from(pass), detached: false };
  }
}
