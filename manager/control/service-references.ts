// What a service's spec refers to, found: names become ids, and what is not there is refused. dockerd does
// the networks before SwarmKit sees them, hence their sentence without more around it.
import { isRefusal, type Refusal, refuse } from "../../common/fault.js";
import type { ContainerSpec, ServiceSpec } from "../../proto/gen/service.js";
import type { StoreView } from "../store/view.js";
import { findNetwork } from "./network-lookup.js";

/** Every node has these of its own: the name is kept, and the node finds what it means there. */
const PREDEFINED = new Set(["bridge", "host", "none"]);

/** The spec as it is stored. Refused with the first thing that is not there. */
export function resolveReferences(view: StoreView, spec: ServiceSpec): ServiceSpec | Refusal {
  const { task } = spec;
  if (task === undefined) return spec;
  const networks = [];
  const seen = new Set<string>();
  for (const config of task.networks) {
    const target = resolveNetwork(view, config.target);
    if (isRefusal(target)) return target;
    if (seen.has(target)) {
      const sentence = `network ${config.target} is named more than once`;
      return refuse("invalid-argument", sentence);
    }
    seen.add(target);
    networks.push({ ...config, target });
  }
  const container = task.container && resolveFiles(view, task.container);
  if (isRefusal(container)) return container;
  return { ...spec, task: { ...task, networks, container } };
}

function resolveNetwork(view: StoreView, nameOrId: string): string | Refusal {
  const network = findNetwork(view, nameOrId);
  if (isRefusal(network)) return PREDEFINED.has(nameOrId) ? nameOrId : network;
  if (!network.spec?.ingress) return network.id;
  const name = JSON.stringify(network.spec.name);
  const sentence = `Service cannot be explicitly attached to the ingress network ${name}`;
  return refuse("invalid-argument", sentence);
}

function resolveFiles(view: StoreView, container: ContainerSpec): ContainerSpec | Refusal {
  const missingSecrets: string[] = [];
  const secrets = container.secrets.map((reference) => {
    const { secretId, secretName } = reference;
    const secret = secretId === "" ? view.secretByName(secretName) : view.secret(secretId);
    if (secret?.spec?.name !== secretName) missingSecrets.push(secretName);
    return { ...reference, secretId: secret?.id ?? secretId };
  });
  const missingConfigs: string[] = [];
  const configs = container.configs.map((reference) => {
    const { configId, configName } = reference;
    const config = configId === "" ? view.configByName(configName) : view.config(configId);
    if (config?.spec?.name !== configName) missingConfigs.push(configName);
    return { ...reference, configId: config?.id ?? configId };
  });
  return (
    refuseMissing("secret", missingSecrets) ??
    refuseMissing("config", missingConfigs) ?? { ...container, secrets, configs }
  );
}

function refuseMissing(kind: string, names: readonly string[]): Refusal | undefined {
  if (names.length === 0) return undefined;
  const what = names.length === 1 ? kind : `${kind}s`;
  return refuse("invalid-argument", `${what} not found: ${names.join(", ")}`);
}
