// What is derived from the nodes: who has which Raft id, key and underlay address, and who manages.
import { type Ip, parseHostPort, parseIp } from "../../common/address.js";
import { type Node, Role } from "../../proto/gen/types.js";

export class NodeIndex {
  readonly byRaftId = new Map<number, string>();
  /** The digest in hexadecimal. */
  readonly byKeyDigest = new Map<string, string>();
  /** The key in hexadecimal. A node without one is not there. */
  readonly byWireguardKey = new Map<string, Map<string, Node>>();
  readonly managers = new Map<string, Node>();
  /** How many nodes name each address: several nodes may stand on one machine. */
  readonly addresses = new Map<string, { readonly ip: Ip; readonly count: number }>();

  replace(before: Node | undefined, after: Node | undefined): void {
    if (before !== undefined) this.#remove(before);
    if (after !== undefined) this.#add(after);
  }

  #add(node: Node): void {
    if (node.manager !== undefined) this.byRaftId.set(node.manager.raftId, node.id);
    if (node.publicKeyDigest.length > 0) this.byKeyDigest.set(keyOf(node), node.id);
    const key = wireguardKeyOf(node);
    if (key !== "") {
      const known = this.byWireguardKey.get(key);
      if (known === undefined) this.byWireguardKey.set(key, new Map([[node.id, node]]));
      else known.set(node.id, node);
    }
    if (isManager(node)) this.managers.set(node.id, node);
    for (const address of underlayAddressesOf(node)) {
      const known = this.addresses.get(address);
      const ip = known?.ip ?? parseIp(address);
      if (ip !== undefined) this.addresses.set(address, { ip, count: (known?.count ?? 0) + 1 });
    }
  }

  #remove(node: Node): void {
    if (node.manager !== undefined) this.byRaftId.delete(node.manager.raftId);
    if (node.publicKeyDigest.length > 0) this.byKeyDigest.delete(keyOf(node));
    const known = this.byWireguardKey.get(wireguardKeyOf(node));
    known?.delete(node.id);
    if (known?.size === 0) this.byWireguardKey.delete(wireguardKeyOf(node));
    this.managers.delete(node.id);
    for (const address of underlayAddressesOf(node)) {
      const known = this.addresses.get(address);
      if (known === undefined) continue;
      if (known.count > 1) this.addresses.set(address, { ...known, count: known.count - 1 });
      else this.addresses.delete(address);
    }
  }
}

/** Whether the node is, or is wanted as, a manager. */
export function isManager(node: Node): boolean {
  const wanted = node.spec?.role === Role.MANAGER;
  return wanted || node.role === Role.MANAGER || node.manager !== undefined;
}

function keyOf(node: Node): string {
  return Buffer.from(node.publicKeyDigest).toString("hex");
}

function wireguardKeyOf({ description }: Node): string {
  return Buffer.from(description?.wireguard?.publicKey ?? []).toString("hex");
}

/** Each once, without port. */
function underlayAddressesOf(node: Node): readonly string[] {
  const manager = parseHostPort(node.manager?.addr ?? "", 1)?.host ?? "";
  return [...new Set([node.addr, node.dataPathAddr, manager])].filter((text) => text !== "");
}
