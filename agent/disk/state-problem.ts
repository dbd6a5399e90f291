// Why the agent would not start on its state folder, and what a person can do about it.
import { Fault, messageOf } from "../../common/fault.js";

export function explain(error: unknown): string {
  if (!(error instanceof Fault)) return messageOf(error);
  const { path, file, found, known } = error.data;
  switch (error.code) {
    case "STATE_LOCKED":
      return `another skein-agent is using ${path}; stop it, or give this one its own --state-dir`;
    case "STATE_VERSION":
      return (
        `${path} was written by another release (format ${found}, this release knows ${known}); ` +
        "nothing was changed; run the release that wrote it, or move the folder away and join the swarm again"
      );
    case "STATE_FOREIGN":
      return (
        `${path} is not a Skein state folder (it holds ${found} and no "format" file); ` +
        "nothing was changed; choose another --state-dir"
      );
    case "STATE_DAMAGED":
      return (
        `${file} is damaged${error.cause === undefined ? "" : ` (${messageOf(error.cause)})`}; ` +
        "nothing was changed; restore it from a backup, or move the state folder away and join the swarm again"
      );
    case "JOURNAL_DAMAGED":
      return (
        `${file} is damaged (${messageOf(error.cause)}); nothing was changed; move this one file away: ` +
        "the node then asks a manager for its networks again, and until one answers they do not work here"
      );
    default:
      return error.message;
  }
}
