// `<state>/local-networks.json`: the networks that only this node has, and what is on them. Written whole,
// atomically, mode 0600.

import { join } from "node:path";
import { readIfThere, replaceFile } from "../../common/durable-files.js";
import { Fault } from "../../common/fault.js";
import { isObject, jsonObject } from "../../common/json-object.js";
import { Endpoint, Network } from "../../proto/gen/types.js";
import type {
  LocalEndpointRecord,
  LocalNetDisk,
  LocalNetRecords,
  LocalNetworkRecord,
} from "../localnet/keeping.js";

const FORMAT = 1;

export function localNetDiskAt(stateDir: string): LocalNetDisk {
  const path = join(stateDir, "local-networks.json");
  return {
    async load() {
      const data = await readIfThere(path);
      if (data === undefined) return undefined;
      const records = parseLocalNetworks(data.toString());
      if (records === undefined) throw new Fault("STATE_DAMAGED", { file: path });
      return records;
    },
    save: (records) => replaceFile(path, Buffer.from(localNetworksText(records))),
  };
}

export function localNetworksText({ networks, endpoints }: LocalNetRecords): string {
  return JSON.stringify({ format: FORMAT, networks, endpoints });
}

export function parseLocalNetworks(text: string): LocalNetRecords | undefined {
  const value = jsonObject(text);
  if (value === undefined || value["format"] !== FORMAT) return undefined;
  const networks = listOf(value["networks"], networkIn);
  const endpoints = listOf(value["endpoints"], endpointIn);
  return networks && endpoints && { networks, endpoints };
}

function networkIn(value: unknown): LocalNetworkRecord | undefined {
  if (!isObject(value) || !isObject(value["network"])) return undefined;
  const network = Network.fromPartial(value["network"]);
  if (typeof network.id !== "string" || network.id === "") return undefined;
  if (typeof network.spec?.name !== "string") return undefined;
  return { network, chosen: value["chosen"] === true };
}

function endpointIn(value: unknown): LocalEndpointRecord | undefined {
  if (!isObject(value) || !isObject(value["endpoint"])) return undefined;
  const endpoint = Endpoint.fromPartial(value["endpoint"]);
  const { containerId, interfaceName, gateway } = value;
  const ports = listOf(value["ports"], portIn);
  if (typeof containerId !== "string" || typeof interfaceName !== "string") return undefined;
  if (typeof endpoint.id !== "string" || endpoint.id === "" || ports === undefined)
    return undefined;
  if (typeof endpoint.networkId !== "string" || typeof endpoint.ipv4 !== "string") return undefined;
  return { endpoint, containerId, interfaceName, gateway: gateway === true, ports };
}

function portIn(value: unknown): LocalEndpointRecord["ports"][number] | undefined {
  if (!isObject(value)) return undefined;
  const { containerPort, hostPort, protocol, hostIp } = value;
  if (!isPort(containerPort) || !isPort(hostPort) || typeof hostIp !== "string") return undefined;
  if (protocol !== "tcp" && protocol !== "udp" && protocol !== "sctp") return undefined;
  return { containerPort, hostPort, protocol, hostIp };
}

function isPort(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) >= 1 && Number(value) <= 65_535;
}

function listOf<T>(value: unknown, one: (entry: unknown) => T | undefined): T[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const list = value.map(one).filter((entry) => entry !== undefined);
  return list.length === value.length ? list : undefined;
}
