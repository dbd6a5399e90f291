// `--network` of a service, with the networks found.
import { parseNetwork } from "../args/network-option.js";
import { type Cli, Failure } from "../cli.js";
import { segment } from "../http/api.js";
import { text } from "../json.js";

/** The API's NetworkAttachmentConfig: networks of the swarm by id. */
export async function findNetworks(
  cli: Cli,
  written: readonly string[],
): Promise<readonly Record<string, unknown>[]> {
  const networks: Record<string, unknown>[] = [];
  for (const wish of written.map(parseNetwork)) {
    const { ip, ip6, linkLocalIps, macAddress, gwPriority } = wish;
    if (gwPriority !== 0 || [ip, ip6, ...linkLocalIps, macAddress].some((each) => each !== "")) {
      throw new Failure(
        `network ${wish.name}: the addresses of a service's tasks are the swarm's to give`,
      );
    }
    networks.push({
      Target: await networkId(cli, wish.name),
      ...(wish.aliases.length > 0 ? { Aliases: wish.aliases } : {}),
      ...(Object.keys(wish.driverOpts).length > 0 ? { DriverOpts: wish.driverOpts } : {}),
    });
  }
  return networks;
}

export async function networkId(cli: Cli, name: string): Promise<string> {
  const path = `/networks/${segment("network", name)}`;
  return text(await cli.api.get(path, { query: { scope: "swarm" } }), "Id");
}
