// POST /networks/create → NetworkSpec. What dockerd itself refuses before it asks a manager is refused
// here, in its words; all else is the manager's to judge.
import { parsePrefix } from "../../common/address.js";
import type { IpamConfig, NetworkSpec } from "../../proto/gen/types.js";
import { badRequest, HttpError, notFound, unserved } from "./http-error.js";
import {
  flagIn,
  type JsonObject,
  labelsIn,
  listIn,
  objectIn,
  objectOf,
  textIn,
  textMapIn,
} from "./json.js";

// Drivers that Docker has and that make networks of one machine.
const LOCAL_DRIVERS = ["macvlan", "ipvlan"];
const PREDEFINED = ["host", "none", "bridge", "default"];

export function networkSpecFromJson(json: JsonObject): NetworkSpec {
  const name = textIn(json, "Name");
  const driver = textIn(json, "Driver");
  if (PREDEFINED.includes(name)) {
    throw new HttpError(403, `operation is not permitted on predefined ${name} network`);
  }
  refuseDriver(driver);
  const isBridge = driver === "" || driver === "bridge";
  if (flagIn(json, "ConfigOnly") || textIn(objectIn(json, "ConfigFrom"), "Network") !== "") {
    throw unserved("configuration-only networks are");
  }
  const scope = textIn(json, "Scope");
  const [kind, ownScope] = isBridge ? ["a bridge", "local"] : ["an overlay", "swarm"];
  if (scope !== "" && scope !== ownScope) {
    throw badRequest(`invalid scope "${scope}": ${kind} network is of scope "${ownScope}"`);
  }
  const noIpv4 = json["EnableIPv4"] === false;
  if (noIpv4 && isBridge) throw unserved("bridge networks without IPv4 addresses are");
  const ipam = objectIn(json, "IPAM");
  const [option] = Object.keys(textMapIn(ipam, "Options"));
  if (option !== undefined) {
    throw badRequest(`unknown IPAM option "${option}": the default IPAM driver has none`);
  }
  return {
    name,
    labels: labelsIn(json),
    driver: isBridge ? "bridge" : "overlay",
    driverOpts: textMapIn(json, "Options"),
    attachable: flagIn(json, "Attachable"),
    internal: flagIn(json, "Internal"),
    ingress: flagIn(json, "Ingress"),
    ipv6: flagIn(json, "EnableIPv6"),
    ipam: listIn(ipam, "Config").map((each) => ipamConfig(objectOf(each, "IPAM.Config"))),
    ipamDriver: textIn(ipam, "Driver"),
    ipamOptions: textMapIn(ipam, "Options"),
    ...(noIpv4 && { noIpv4 }),
  };
}

function refuseDriver(driver: string): void {
  // An absent driver is "bridge", as in Docker.
  if (["", "bridge", "overlay"].includes(driver)) return;
  if (driver === "host" || driver === "null") {
    throw new HttpError(403, `only one instance of "${driver}" network is allowed`);
  }
  if (LOCAL_DRIVERS.includes(driver)) {
    throw unserved(`networks of the "${driver}" driver (use --driver bridge or overlay) are`);
  }
  throw notFound(`plugin "${driver}" not found`);
}

function ipamConfig(json: JsonObject): IpamConfig {
  const subnet = textIn(json, "Subnet");
  if (subnet !== "" && parsePrefix(subnet) === undefined) {
    throw badRequest(`Invalid subnet ${subnet} : invalid CIDR address: ${subnet}`);
  }
  return {
    subnet,
    gateway: textIn(json, "Gateway"),
    ipRange: textIn(json, "IPRange"),
    auxAddresses: {
      ...textMapIn(json, "AuxiliaryAddresses"),
      // The name of the field before API 1.20, which dockerd still takes.
      ...textMapIn(json, "AuxAddress"),
    },
  };
}
