// The environment of a container's process: Docker's defaults, then what was asked for. Nothing of the
// agent's own environment is in it.

// Docker's default (oci/defaults, DefaultPathEnvUnix).
export const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export interface EnvironmentWish {
  readonly env: readonly string[];
  readonly hostname: string;
  readonly home: string;
  readonly tty: boolean;
}

/** A later setting wins. "NAME" without "=" is taken out, as Docker's CLI does for what its user has not set. */
export function environmentOf(wish: EnvironmentWish): Record<string, string> {
  const environment: Record<string, string> = {
    PATH: DEFAULT_PATH,
    HOSTNAME: wish.hostname,
    HOME: wish.home,
    ...(wish.tty ? { TERM: "xterm" } : {}),
  };
  for (const setting of wish.env) {
    const at = setting.indexOf("=");
    if (at < 0) delete environment[setting];
    else environment[setting.slice(0, at)] = setting.slice(at + 1);
  }
  return environment;
}
