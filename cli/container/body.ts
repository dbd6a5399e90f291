// The flags of `run` and `create` → the body of POST /containers/create.
import { environment } from "../args/environment.js";
import { type NetworkOption, parseNetwork } from "../args/network-option.js";
import type { Values } from "../args/values.js";
import { type Cli, Failure } from "../cli.js";
import { present } from "../service/create.js";
import { labels } from "./labels.js";
import { healthOf, limitFields, restartRule, securityFields } from "./limits.js";
import { mountFields } from "./mounts.js";
import { portBindings } from "./ports.js";

export interface Attaching {
  readonly stdin: boolean;
  readonly output: boolean;
}

/** What is run: an image with a command of its own or ours, or a command of this machine. */
export interface What {
  readonly image: string;
  readonly command: readonly string[];
  readonly runtime: "containerd" | "process";
}

/** `-- COMMAND`, or --runtime process: this machine's own command. Else the first word is an image. */
export function whatToRun(args: readonly string[], flags: Values, dashed: boolean): What {
  const runtime = flags.text("runtime");
  if (!["containerd", "process"].includes(runtime)) {
    throw new Failure(`unknown or invalid runtime name: ${runtime}`);
  }
  if (runtime === "process" || (dashed && !flags.has("runtime"))) {
    return { image: "", command: args, runtime: "process" };
  }
  const [image = "", ...command] = args;
  return { image, command, runtime: "containerd" };
}

export async function containerBody(
  cli: Cli,
  { image, command, runtime }: What,
  flags: Values,
  attaching: Attaching,
): Promise<object> {
  const networks = networkOptions(flags);
  const interactive = flags.bool("interactive");
  const ports = portBindings(flags);
  const storage = mountFields(flags);
  const entrypoint = flags.text("entrypoint");
  return {
    Hostname: flags.text("hostname"),
    Domainname: flags.text("domainname"),
    User: flags.text("user"),
    AttachStdin: attaching.stdin,
    AttachStdout: attaching.output,
    AttachStderr: attaching.output,
    Tty: flags.bool("tty"),
    OpenStdin: interactive,
    StdinOnce: interactive && attaching.stdin,
    Env: await environment(cli, flags),
    Cmd: command.length > 0 ? command : null,
    ...(flags.has("entrypoint") ? { Entrypoint: [entrypoint] } : {}),
    // A command of this machine comes from no image.
    Image: image,
    Volumes: storage.volumes,
    WorkingDir: flags.text("workdir"),
    Labels: await labels(flags),
    ExposedPorts: ports.exposed,
    ...present({ Healthcheck: healthOf(flags) }),
    ...(flags.has("stop-signal") ? { StopSignal: flags.text("stop-signal") } : {}),
    ...(flags.has("stop-timeout") ? { StopTimeout: flags.number("stop-timeout") } : {}),
    HostConfig: {
      Binds: storage.binds,
      Mounts: storage.mounts,
      Tmpfs: storage.tmpfs,
      PortBindings: ports.bindings,
      PublishAllPorts: flags.bool("publish-all"),
      NetworkMode: networks[0]?.name ?? "default",
      AutoRemove: flags.bool("rm"),
      Runtime: runtime === "process" ? "process" : "",
      RestartPolicy: restartRule(flags.text("restart")),
      ConsoleSize: cli.out.isTerminal ? [cli.out.rows, cli.out.columns] : [0, 0],
      ...limitFields(flags),
      ...securityFields(flags),
      ...present({
        Dns: flags.list("dns"),
        DnsOptions: flags.list("dns-option"),
        DnsSearch: flags.list("dns-search"),
        ExtraHosts: flags.list("add-host"),
        Init: flags.has("init") ? flags.bool("init") : undefined,
        LogConfig:
          flags.has("log-driver") || flags.has("log-opt")
            ? { Type: flags.text("log-driver"), Config: flags.map("log-opt") }
            : undefined,
      }),
    },
    NetworkingConfig: { EndpointsConfig: endpoints(networks) },
  };
}

/** Every --network, with --ip, --ip6 and --network-alias for the first of them. */
function networkOptions(flags: Values): readonly NetworkOption[] {
  const [first, ...more] = flags.list("network").map(parseNetwork);
  const aliases = flags.list("network-alias");
  if (first === undefined) {
    for (const name of ["ip", "ip6"]) {
      if (flags.text(name) === "") continue;
      throw new Failure(`--${name} needs --network: an address is on a network`);
    }
    if (aliases.length > 0) throw new Failure("--network-alias needs --network");
    return [];
  }
  const address = (name: "ip" | "ip6") => {
    const given = flags.text(name);
    if (given === "" || first[name] === "") return given || first[name];
    throw new Failure(
      `conflicting options: cannot specify both --${name} and per-network IP address`,
    );
  };
  const whole = { ip: address("ip"), ip6: address("ip6"), aliases: [...first.aliases, ...aliases] };
  return [{ ...first, ...whole }, ...more];
}

function endpoints(networks: readonly NetworkOption[]): object {
  return Object.fromEntries(networks.map((network) => [network.name, endpoint(network)]));
}

function endpoint(network: NetworkOption): object {
  const { ip, ip6, linkLocalIps, aliases, driverOpts, macAddress, gwPriority } = network;
  const ipam = present({
    IPv4Address: ip || undefined,
    IPv6Address: ip6 || undefined,
    LinkLocalIPs: linkLocalIps.length > 0 ? linkLocalIps : undefined,
  });
  return {
    IPAMConfig: Object.keys(ipam).length > 0 ? ipam : null,
    Aliases: aliases.length > 0 ? aliases : null,
    ...present({
      DriverOpts: Object.keys(driverOpts).length > 0 ? driverOpts : undefined,
      MacAddress: macAddress || undefined,
      GwPriority: gwPriority || undefined,
    }),
  };
}
