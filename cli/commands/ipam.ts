// --subnet, --ip-range, --gateway, --aux-address → the IPAM configuration of a request. What cannot
// be matched up is refused here, in the words of docker/cli network/create.go; what is wrong with an
// address itself is the manager's to say.
import { parseIp, parsePrefix, contains as prefixContains } from "../../common/address.js";
import { Failure } from "../cli.js";

export interface IpamFlags {
  readonly subnets: readonly string[];
  readonly ranges: readonly string[];
  readonly gateways: readonly string[];
  readonly auxiliary: Readonly<Record<string, string>>;
}

export interface IpamEntry {
  readonly Subnet: string;
  IPRange?: string;
  Gateway?: string;
  AuxiliaryAddresses?: Record<string, string>;
}

export function ipamConfig(flags: IpamFlags): IpamEntry[] {
  const { subnets, ranges, gateways, auxiliary } = flags;
  if (subnets.length < ranges.length || subnets.length < gateways.length) {
    throw new Failure("every ip-range or gateway must have a corresponding subnet");
  }
  subnets.forEach((one, i) => {
    for (const other of subnets.slice(0, i)) {
      if (contains(one, other) || contains(other, one)) {
        throw new Failure("multiple overlapping subnet configuration is not supported");
      }
    }
  });
  const entries: IpamEntry[] = subnets.map((subnet) => ({ Subnet: subnet }));
  for (const range of ranges) {
    const entry = entries.find((one) => contains(one.Subnet, range));
    if (entry === undefined) throw new Failure(`no matching subnet for range ${range}`);
    if (entry.IPRange !== undefined) {
      throw new Failure(
        `cannot configure multiple ranges (${range}, ${entry.IPRange}) on the same subnet (${entry.Subnet})`,
      );
    }
    entry.IPRange = range;
  }
  for (const gateway of gateways) {
    const entry = entries.find((one) => contains(one.Subnet, gateway));
    if (entry === undefined) throw new Failure(`no matching subnet for gateway ${gateway}`);
    if (entry.Gateway !== undefined) {
      throw new Failure(
        `cannot configure multiple gateways (${gateway}, ${entry.Gateway}) for the same subnet (${entry.Subnet})`,
      );
    }
    entry.Gateway = gateway;
  }
  for (const [name, address] of Object.entries(auxiliary)) {
    const entry = entries.find((one) => contains(one.Subnet, address));
    if (entry === undefined) throw new Failure(`no matching subnet for aux-address ${address}`);
    entry.AuxiliaryAddresses = { ...entry.AuxiliaryAddresses, [name]: address };
  }
  return entries;
}

/** docker/cli subnetMatches: whether the address, or the first of the range, is in the subnet. */
function contains(subnet: string, inner: string): boolean {
  const outside = parsePrefix(subnet);
  if (outside === undefined) throw new Failure(`invalid subnet: invalid CIDR address: ${subnet}`);
  const inside = parsePrefix(inner)?.ip ?? parseIp(inner);
  if (inside === undefined) throw new Failure(`invalid address: ${inner}`);
  return inside.family === outside.ip.family && prefixContains(outside, inside);
}
