// What a node's record becomes when the node, or a manager that it knows, is reached elsewhere.
import { formatHostPort, parseHostPort } from "../../common/address.js";
import type { ChosenAddresses } from "./advertise.js";

type Addresses = ChosenAddresses;

/** `host`, where the node had `from`: what was of that address goes with it, and nothing else does. */
export function movedTo(had: Addresses, from: string, host: string): Addresses {
  return {
    listenAddr: withHost(had.listenAddr, from, host),
    advertiseAddr: withHost(had.advertiseAddr, from, host),
    dataPathAddr: had.dataPathAddr === from ? host : had.dataPathAddr,
  };
}

function withHost(addr: string, from: string, host: string): string {
  const parsed = parseHostPort(addr, 0);
  return parsed?.host === from ? formatHostPort({ ...parsed, host }) : addr;
}

/**
 * A person's word for where the node is reached. Its frames go from there too, if they did so before and the machine
 * has that address; it listens there, if it listened on the old one alone.
 */
export function advertisedAt(
  had: Addresses,
  advertiseAddr: string,
  isOwn: (host: string) => boolean,
): Addresses {
  const from = parseHostPort(had.advertiseAddr, 0)?.host ?? "";
  const host = parseHostPort(advertiseAddr, 0)?.host ?? "";
  return { ...(isOwn(host) ? movedTo(had, from, host) : had), advertiseAddr };
}

type Managers = readonly { readonly nodeId: string; readonly addr: string }[];

/** Undefined: no such manager is known. */
export function managerAt(managers: Managers, nodeId: string, addr: string): Managers | undefined {
  if (!managers.some((each) => each.nodeId === nodeId)) return undefined;
  return managers.map((each) => (each.nodeId === nodeId ? { nodeId, addr } : each));
}
