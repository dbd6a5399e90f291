// Nodes by number: 16 bytes of address each, in memory that the main thread shares with the switch's threads. Entries
// are added and never changed; a table that names one is handed over after it was written.
import { type Ip, ipToBytes } from "../../common/address.js";

export const PEER_BYTES = 16;
// Choice: three times the nodes of the largest swarm that Skein is made for. Addresses beyond it get no number.
export const PEERS_MAX = 16_384;

export class PeerBook {
  readonly shared = new SharedArrayBuffer(PEERS_MAX * PEER_BYTES);
  readonly #bytes = new Uint8Array(this.shared);
  readonly #numbers = new Map<string, number>();

  /** The same address has the same number for as long as the book lasts; undefined: it is full. */
  numberOf(ip: Ip): number | undefined {
    const key = `${ip.family} ${ip.value}`;
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    const number = this.#numbers.size;
    if (number === PEERS_MAX) return undefined;
    this.#bytes.set(ipToBytes(ip), number * PEER_BYTES);
    this.#numbers.set(key, number);
    return number;
  }
}
