// What a request needs besides the state and its own words: time and chance, as arguments.
export interface Context {
  /** Unix milliseconds by the leader's clock; for people to read. */
  readonly nowMs: number;
  /** A fresh id for a replicated object (common/ids.ts). */
  newId(): string;
  randomBytes(length: number): Uint8Array;
}
