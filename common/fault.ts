// The three kinds of "no": a Refusal is a value (somebody asked wrongly), a Fault is thrown (disk,
// kernel, network), a failed assert is a bug and ends the process.

/** What a refusal means to the asker; each maps to one gRPC status and one HTTP status. */
export type RefusalCode =
  | "invalid-argument"
  | "not-found"
  | "already-exists"
  | "failed-precondition"
  | "permission-denied"
  | "resource-exhausted"
  | "unavailable"
  | "unimplemented";

/** A request that cannot be done, and why, as a sentence for the person who asked. */
export class Refusal {
  readonly kind = "refusal";
  constructor(
    readonly code: RefusalCode,
    readonly message: string,
  ) {}
}

export function refuse(code: RefusalCode, message: string): Refusal {
  return new Refusal(code, message);
}

export function isRefusal(value: unknown): value is Refusal {
  return value instanceof Refusal;
}

/** Carries a Refusal through code that can only throw (RPC handlers, HTTP routes). */
export class Refused extends Error {
  constructor(readonly refusal: Refusal) {
    super(refusal.message);
    this.name = "Refused";
  }
}

/** The value, or `Refused` thrown. */
export function orThrow<T>(value: T | Refusal): T {
  if (value instanceof Refusal) throw new Refused(value);
  return value;
}

export type FaultData = Readonly<Record<string, string | number | boolean | undefined>>;

/**
 * A failure of something outside the program. `code` is constant and searchable; `data` names the
 * things involved; `cause` is the original error.
 */
export class Fault extends Error {
  constructor(
    readonly code: string,
    readonly data: FaultData = {},
    cause?: unknown,
  ) {
    super(describe(code, data, cause), cause === undefined ? {} : { cause });
    this.name = "Fault";
  }
}

function describe(code: string, data: FaultData, cause: unknown): string {
  const pairs = Object.entries(data)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key}=${String(value)}`);
  const why = cause === undefined ? "" : `: ${messageOf(cause)}`;
  return [code, ...pairs].join(" ") + why;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** For the log: the message, and a fault's code and fields each as a field of its own. */
export function faultFields(error: unknown): Readonly<Record<string, unknown>> {
  const err = messageOf(error);
  return error instanceof Fault ? { ...error.data, fault: error.code, err } : { err };
}

/** An invariant of ours. A wrong decision replicated is worse than a stop. */
export function assert(condition: unknown, invariant: string): asserts condition {
  if (!condition) throw new Error(`invariant violated: ${invariant}`);
}

/** The end of a `switch` over a closed union; reaching it is a bug. */
export function unreachable(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`);
}
