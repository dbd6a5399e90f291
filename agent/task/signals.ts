// Signal names and numbers, as Docker takes them: "SIGTERM", "term", "15".
import { type Refusal, refuse } from "../../common/fault.js";

// include/uapi/asm-generic/signal.h: the numbers of x86-64 and arm64.
const NAMES = [
  ...["HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2"],
  ...["PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG"],
  ...["XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS"],
];
const NUMBERS: ReadonlyMap<string, number> = new Map(NAMES.map((name, i) => [name, i + 1]));
// signal(7): the real-time signals that glibc leaves to programs are 34 to 64.
const SIGNAL_MAX = 64;

export const SIGKILL = 9;
export const SIGTERM = 15;

/** Empty: `otherwise`. */
export function parseSignal(text: string, otherwise: number): number | Refusal {
  if (text === "") return otherwise;
  if (/^\d{1,2}$/.test(text)) {
    const number = Number(text);
    if (number >= 1 && number <= SIGNAL_MAX) return number;
  }
  const name = text.toUpperCase().replace(/^SIG/, "");
  const real = /^RTMIN(?:\+(\d{1,2}))?$/.exec(name);
  if (real && 34 + Number(real[1] ?? 0) <= SIGNAL_MAX) return 34 + Number(real[1] ?? 0);
  return NUMBERS.get(name) ?? refuse("invalid-argument", `Invalid signal: ${text}`);
}

/** What a shell and Docker report of a process that a signal ended: 128 and its number. */
export function exitCodeOf(code: number | null, signal: string | null): number {
  if (code !== null) return code;
  return 128 + (NUMBERS.get((signal ?? "").replace(/^SIG/, "")) ?? SIGKILL);
}
