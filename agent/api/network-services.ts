// `network inspect --verbose`: everything on a network, swarm-wide, under the service that it belongs to.
import { type Endpoint, EndpointKind, type Node } from "../../proto/gen/types.js";

/** Everything on the network, swarm-wide: what `--verbose` adds on a manager. */
export interface SwarmWide {
  readonly endpoints: readonly Endpoint[];
  readonly nodes: ReadonlyMap<string, Node>;
}

/** Docker lists what is no service under the empty name. */
export function networkServicesJson({ endpoints, nodes }: SwarmWide): object {
  const names = [...new Set(endpoints.map(serviceOf))].sort();
  return Object.fromEntries(
    names.map((name) => {
      const own = endpoints.filter((endpoint) => serviceOf(endpoint) === name);
      const vip = own.find(({ kind }) => kind === EndpointKind.VIP);
      const tasks = own.filter(({ kind }) => kind !== EndpointKind.VIP);
      const service = {
        VIP: vip ? addressOf(vip) : "<nil>",
        Ports: [],
        LocalLBIndex: 0,
        Tasks: tasks.map((endpoint) => ({
          Name: endpoint.name,
          EndpointID: endpoint.id,
          EndpointIP: addressOf(endpoint),
          Info: { "Host IP": hostIpOf(nodes.get(endpoint.nodeId)) },
        })),
      };
      return [name, service];
    }),
  );
}

// A task's name begins with its service's, which has no dot in it ("web.1.ID").
function serviceOf({ kind, name }: Endpoint): string {
  if (kind === EndpointKind.VIP) return name;
  return kind === EndpointKind.TASK ? (name.split(".")[0] ?? "") : "";
}

function addressOf({ ipv4, ipv6 }: Endpoint): string {
  return (ipv4 || ipv6).replace(/\/.*$/, "");
}

function hostIpOf(node: Node | undefined): string {
  return node?.dataPathAddr || node?.addr || "";
}
