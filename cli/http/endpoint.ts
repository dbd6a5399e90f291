// Where the agent's socket is: --host, else SKEIN_HOST, else the default. DOCKER_HOST is not read:
// it names another daemon.
import { Failure } from "../cli.js";

const DEFAULT_SOCKET = "/run/skein/skein.sock";
const SCHEME = "unix://";

export function socketPath(
  host: string,
  env: Readonly<Record<string, string | undefined>>,
): string {
  const text = host || (env["SKEIN_HOST"] ?? "");
  if (text === "") return DEFAULT_SOCKET;
  const path = text.startsWith(SCHEME) ? text.slice(SCHEME.length) : text;
  if (path.startsWith("/")) return path;
  throw new Failure(
    `unable to parse skein host "${text}": expected unix:///path/of/skein.sock (the agent listens on a unix socket only)`,
  );
}
