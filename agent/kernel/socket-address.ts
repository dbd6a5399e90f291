import { type Ip, ipToBytes } from "../../common/address.js";
import { AF_INET, AF_INET6 } from "../netlink/constants.js";

/**
 * netinet/in.h: sockaddr_in is family, port, address (16 bytes with padding); sockaddr_in6 is family, port,
 * flow, address, scope (28). The family is in host order, the port in the network's.
 */
export function socketAddress(ip: Ip, port: number): Buffer {
  const address = Buffer.alloc(ip.family === 4 ? 16 : 28);
  address.writeUInt16LE(ip.family === 4 ? AF_INET : AF_INET6);
  address.writeUInt16BE(port, 2);
  address.set(ipToBytes(ip), ip.family === 4 ? 4 : 8);
  return address;
}
