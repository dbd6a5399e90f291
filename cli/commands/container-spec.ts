// The flags of `run` and `create` → the body of POST /containers/create.
import { readFile } from "node:fs/promises";
import { messageOf } from "../../common/fault.js";
import type { Values } from "../args/values.js";
import { type Cli, Failure } from "../cli.js";

export interface Attaching {
  readonly stdin: boolean;
  readonly output: boolean;
}

export async function containerBody(
  cli: Cli,
  command: readonly string[],
  flags: Values,
  attaching: Attaching,
): Promise<object> {
  const networks = networkWishes(flags);
  const interactive = flags.bool("interactive");
  return {
    Hostname: flags.text("hostname"),
    User: flags.text("user"),
    AttachStdin: attaching.stdin,
    AttachStdout: attaching.output,
    AttachStderr: attaching.output,
    Tty: flags.bool("tty"),
    OpenStdin: interactive,
    StdinOnce: interactive && attaching.stdin,
    Env: await environment(cli, flags),
    Cmd: command,
    // A command of this machine comes from no image.
    Image: "",
    WorkingDir: flags.text("workdir"),
    Labels: flags.map("label"),
    ...(flags.has("stop-signal") ? { StopSignal: flags.text("stop-signal") } : {}),
    ...(flags.has("stop-timeout") ? { StopTimeout: flags.number("stop-timeout") } : {}),
    HostConfig: {
      NetworkMode: networks[0]?.name ?? "default",
      AutoRemove: flags.bool("rm"),
      Runtime: flags.text("runtime"),
      RestartPolicy: { Name: "no", MaximumRetryCount: 0 },
      ConsoleSize: cli.out.isTerminal ? [cli.out.rows, cli.out.columns] : [0, 0],
    },
    NetworkingConfig: { EndpointsConfig: endpoints(networks) },
  };
}

interface NetworkWish {
  readonly name: string;
  ip: string;
  ip6: string;
  aliases: readonly string[];
}

/** Every --network, with --ip, --ip6 and --network-alias for the first of them. */
export function networkWishes(flags: Values): NetworkWish[] {
  const wishes = flags.list("network").map(parseNetwork);
  const first = wishes[0];
  for (const name of ["ip", "ip6"] as const) {
    const given = flags.text(name);
    if (given === "") continue;
    if (first === undefined)
      throw new Failure(`--${name} needs --network: an address is on a network`);
    if (first[name] !== "") {
      throw new Failure(
        `conflicting options: cannot specify both --${name} and per-network IP address`,
      );
    }
    first[name] = given;
  }
  const aliases = flags.list("network-alias");
  if (aliases.length > 0) {
    if (first === undefined) throw new Failure("--network-alias needs --network");
    first.aliases = [...first.aliases, ...aliases];
  }
  return wishes;
}

/** docker/cli opts/network.go: "NAME", or "name=NAME,ip=…,alias=…" with "name=" left out or not. */
export function parseNetwork(text: string): NetworkWish {
  const wish = { name: "", ip: "", ip6: "", aliases: [] as string[] };
  text.split(",").forEach((field, i) => {
    const equals = field.indexOf("=");
    if (equals < 0) {
      if (i > 0) throw new Failure(`invalid field ${field}`);
      wish.name = field;
      return;
    }
    const value = field.slice(equals + 1).trim();
    switch (field.slice(0, equals).trim().toLowerCase()) {
      case "name":
        wish.name = value;
        break;
      case "ip":
        wish.ip = value;
        break;
      case "ip6":
        wish.ip6 = value;
        break;
      case "alias":
        wish.aliases.push(value);
        break;
      default:
        throw new Failure(`invalid field key ${field.slice(0, equals)}`);
    }
  });
  if (wish.name === "") throw new Failure("network name/id is not specified");
  return wish;
}

function endpoints(networks: readonly NetworkWish[]): object {
  return Object.fromEntries(
    networks.map(({ name, ip, ip6, aliases }) => [
      name,
      {
        IPAMConfig:
          ip === "" && ip6 === ""
            ? null
            : {
                ...(ip === "" ? {} : { IPv4Address: ip }),
                ...(ip6 === "" ? {} : { IPv6Address: ip6 }),
              },
        Aliases: aliases.length === 0 ? null : aliases,
      },
    ]),
  );
}

/** `-e NAME` alone takes the value from here, and is left out when there is none. */
export async function environment(cli: Cli, flags: Values): Promise<string[]> {
  const lines: string[] = [];
  for (const file of flags.list("env-file")) lines.push(...(await envFile(file)));
  return [...lines, ...flags.list("env")].flatMap((line) => {
    if (line.includes("=")) return [line];
    const value = cli.env[line];
    return value === undefined ? [] : [`${line}=${value}`];
  });
}

async function envFile(path: string): Promise<string[]> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw new Failure(`open ${path}: ${messageOf(error)}`);
  }
  return text
    .split("\n")
    .map((line) => line.trimStart())
    .filter((line) => line !== "" && !line.startsWith("#"));
}
