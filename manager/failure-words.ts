// Why a manager does not run, as a sentence for the person who asks its agent: what is wrong, where,
// and what to do about it. The log has the fault itself.
import { Fault, messageOf } from "../common/fault.js";

const ADVICE =
  "Nothing was changed. Restore the folder from a backup, or leave the swarm with `skein swarm leave --force` and join it again.";

// What the others have is worth more than what is left here; and what is left may be all there is.
const LOG_ADVICE =
  "Nothing was changed. If other managers go on, leave with `skein swarm leave --force` and join again; if this is the last one, `skein swarm recover` says what can be saved, and saves it, and `skein swarm restore` brings back a backup.";

export function failureSentence(error: unknown): string {
  if (!(error instanceof Fault)) return messageOf(error);
  const { path, file, why, found, expected, offset, dir } = error.data;
  const where = path ?? file ?? dir ?? "the state folder";
  const because = why === undefined ? "" : `: ${why}`;
  switch (error.code) {
    case "STATE_VERSION":
      return `${where} is of format ${found}, this release reads format ${expected}${because}`;
    case "STATE_LOCKED":
      return `${where} is in use${because}`;
    case "IDENTITY_DAMAGED":
    case "KEY_MISSING":
    case "KEY_DAMAGED":
      return `${where} is damaged${because}. ${ADVICE}`;
    case "KEY_LOCKED":
      return `${where} is sealed with the swarm's unlock key`;
    case "LOG_DAMAGED":
      return `${where} is damaged at byte ${offset}${because}. ${LOG_ADVICE}`;
    case "LOG_LOST":
      return `${where} is damaged${because}: nothing can be recovered from it. ${ADVICE}`;
    case "STATE_READ":
    case "FILE_WRITE":
    case "LOG_IO":
      return `${where} cannot be read or written: ${messageOf(error.cause ?? error)}`;
    case "LISTEN":
      return `listen tcp ${error.data["addr"]}${because}`;
    default:
      return error.message;
  }
}
