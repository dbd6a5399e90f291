// The networks that a service names: those of the swarm by name or id become ids; "host" and "bridge" are
// every node's own; any other network of one node cannot carry a service.
import type { NetworkAttachmentConfig, ServiceSpec } from "../../proto/gen/service.js";
import type { Call } from "./call.js";
import { findOne, NETWORK_WORDS } from "./find.js";
import { HttpError } from "./http-error.js";
import { listNetworks } from "./manager.js";

/** Of the scope "swarm", and yet each node's own: SwarmKit calls them predefined. */
const PREDEFINED = ["bridge", "host"] as const;
const PREDEFINED_LABEL = "com.docker.swarm.predefined";

export async function resolveNetworks(call: Call, spec: ServiceSpec): Promise<ServiceSpec> {
  const { task } = spec;
  if (!task || task.networks.length === 0) return spec;
  const networks = await listNetworks(call);
  const resolved = task.networks.map((each): NetworkAttachmentConfig => {
    if (PREDEFINED.some((name) => name === each.target)) return each;
    const local = call.node.localNets.find(each.target);
    const known = networks.some(
      ({ id, spec: own }) => id === each.target || own?.name === each.target,
    );
    if (local && !known) throw notForServices(local.spec?.name ?? each.target);
    const found = findOne(
      each.target,
      networks,
      ({ id, spec: own }) => ({ id, names: [own?.name ?? ""] }),
      NETWORK_WORDS,
    );
    return { ...each, target: found.id };
  });
  return { ...spec, task: { ...task, networks: resolved } };
}

function notForServices(name: string): HttpError {
  return new HttpError(
    403,
    `The network ${name} cannot be used with services. Only networks scoped to the swarm can be used, such as those created with the overlay driver.`,
  );
}

/** What `GET /networks/host?scope=swarm` answers: clients look the name up before they make a service. */
export function predefinedJson(name: string): object | undefined {
  if (!PREDEFINED.some((each) => each === name)) return undefined;
  return {
    Name: name,
    Id: name,
    Created: "0001-01-01T00:00:00Z",
    Scope: "swarm",
    Driver: name,
    EnableIPv6: false,
    IPAM: { Driver: "", Options: null, Config: [] },
    Internal: false,
    Attachable: false,
    Ingress: false,
    ConfigFrom: { Network: "" },
    ConfigOnly: false,
    Containers: null,
    Options: null,
    Labels: { [PREDEFINED_LABEL]: "true" },
  };
}
