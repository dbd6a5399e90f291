// Where the other members are reached, when that is not where the log says: as each says of itself on a stream that
// its certificate has opened, or as a person said. The log's own change of an address is newer than either.
import { isDialable } from "../../common/address.js";
import type { RaftMember } from "../../proto/gen/raft.js";

export class PeerAddresses {
  readonly #logged = new Map<number, string>();
  readonly #believed: Map<number, string>;
  readonly #claims = new Map<number, string>();

  /** What was believed before a restart, by raft id. */
  constructor(before: ReadonlyMap<number, string>) {
    this.#believed = new Map(before);
  }

  /** Those that differ from the log's. */
  get believed(): ReadonlyMap<number, string> {
    return this.#believed;
  }

  addrOf({ raftId, addr }: RaftMember): string {
    return this.#believed.get(raftId) ?? addr;
  }

  /** As the log has them now. Answers whether less is believed than before. */
  setLogged(members: readonly RaftMember[]): boolean {
    const before = this.#believed.size;
    for (const { raftId, addr } of members) {
      const known = this.#logged.get(raftId);
      const isNews = known !== undefined && known !== addr;
      if (isNews || this.#believed.get(raftId) === addr) this.#believed.delete(raftId);
      this.#logged.set(raftId, addr);
    }
    const ids = new Set(members.map(({ raftId }) => raftId));
    for (const table of [this.#logged, this.#believed, this.#claims])
      for (const raftId of table.keys()) if (!ids.has(raftId)) table.delete(raftId);
    return this.#believed.size !== before;
  }

  /**
   * What a member says of itself. It is believed when it says so for the first time since it said otherwise, or when it
   * is out of reach (`isLost`) where it is dialled: behind a translation it may not know how it is reached, and a person
   * does. Answers whether it is dialled elsewhere now.
   */
  claimed(raftId: number, addr: string, isLost: boolean): boolean {
    const logged = this.#logged.get(raftId);
    if (logged === undefined || !isDialable(addr)) return false;
    const said = this.#claims.get(raftId);
    const hasMoved = said !== undefined && said !== addr;
    this.#claims.set(raftId, addr);
    return hasMoved || isLost ? this.dial(raftId, addr) : false;
  }

  /** A person's word. Answers as `claimed`. */
  dial(raftId: number, addr: string): boolean {
    const before = this.#believed.get(raftId) ?? this.#logged.get(raftId);
    if (before === undefined || before === addr) return false;
    if (this.#logged.get(raftId) === addr) this.#believed.delete(raftId);
    else this.#believed.set(raftId, addr);
    return true;
  }
}
