// Why a file could not be read or written, without the names that the runtime gives to errors and to its calls.
import { getSystemErrorMap } from "node:util";
import { messageOf } from "../common/fault.js";

/** "no such file or directory"; of what is no error of the system, its own message. */
export function fileWords(error: unknown): string {
  if (!(error instanceof Error)) return messageOf(error);
  const { errno } = error as NodeJS.ErrnoException;
  const known = errno === undefined ? undefined : getSystemErrorMap().get(errno);
  if (known !== undefined) return known[1];
  return error.cause === undefined ? messageOf(error) : fileWords(error.cause);
}
