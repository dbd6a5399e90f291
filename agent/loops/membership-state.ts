// The swarm that this node is part of: the one running member, and what the disk has of it. node.json is the commit
// point both ways: it is written when all else is in place, and removed before anything else goes, so that a crash
// leaves a member or a node that was never one. Who begins and ends memberships is in swarm-entering.ts and
// swarm-leaving.ts, one at a time (membership.ts).
import type { Clock } from "../../common/clock.js";
import type { Logger } from "../../common/log.js";
import type { Timing } from "../../common/timing.js";
import type {
  CertificateDoor,
  IdentityDisk,
  Journal,
  MachineDoor,
  ManagerHost,
  NodeDisk,
  NodeIdentity,
  NodeRecord,
} from "../seams.js";
import type { Member, MemberDeps } from "./member.js";

export interface MembershipDeps {
  readonly hostname: string;
  /** Where this node says it is reached, as its daemon was started; empty: as it joined. */
  readonly advertiseAddr: string;
  readonly clock: Clock;
  readonly timing: Timing;
  readonly log: Logger;
  readonly nodeDisk: NodeDisk;
  readonly identityDisk: IdentityDisk;
  readonly journal: Journal;
  readonly door: CertificateDoor;
  readonly manager: ManagerHost;
  readonly machine: MachineDoor;
  readonly openLink: MemberDeps["openLink"];
  /** Makes the running parts, not yet started. Reads the journal. */
  readonly makeMember: (record: NodeRecord, identity: NodeIdentity) => Promise<Member>;
  /** Told before a member starts, and with undefined after one has left. */
  readonly onMember: (member: Member | undefined) => Promise<void>;
}

export class MembershipState {
  #member: Member | undefined;
  /** Whether the node's own key waits for the unlock key; its member is not started then. */
  #sealed = false;

  constructor(private readonly deps: MembershipDeps) {}

  get member(): Member | undefined {
    return this.#member;
  }

  get sealed(): boolean {
    return this.#sealed;
  }

  /** Whether the node's own key, or its manager process, waits for the unlock key. */
  get locked(): boolean {
    return this.#sealed || this.#member?.locked === true;
  }

  /** Goes on as the member that the disk says. */
  async begin(record: NodeRecord, identity: NodeIdentity): Promise<Member> {
    const member = await this.#enter(record, identity);
    this.#start(member);
    return member;
  }

  /** What is in place stays in place: only the managers cannot be spoken to, nor this node's own. */
  async beginSealed(record: NodeRecord, identity: Omit<NodeIdentity, "key">): Promise<void> {
    await this.#enter(record, { ...identity, key: NO_KEY });
    this.#sealed = true;
    this.deps.log.warn({ node: record.nodeId }, "locked: the swarm's unlock key is needed");
  }

  unseal(member: Member, identity: NodeIdentity): void {
    this.#sealed = false;
    member.unsealed(identity);
    member.start();
  }

  /** The node is a member from here on, whatever crashes. */
  async commit(record: NodeRecord, identity: NodeIdentity): Promise<Member> {
    await this.deps.identityDisk.save(identity);
    // A journal here is of no swarm that this node is in.
    await this.deps.journal.clear();
    await this.deps.nodeDisk.save(record);
    return this.begin(record, identity);
  }

  /** The node is no member from here on, whatever crashes; of one that it was not yet, nothing is left. */
  async end(): Promise<void> {
    await this.deps.nodeDisk.clear();
    const member = this.#member;
    this.#member = undefined;
    this.#sealed = false;
    await member?.close();
    if (member !== undefined) await this.deps.onMember(undefined);
    await this.sweep();
  }

  /** Everything that belongs to a membership, but for node.json. */
  async sweep(): Promise<void> {
    await this.deps.manager.wipe();
    await this.deps.identityDisk.clear();
    await this.deps.journal.clear();
  }

  async #enter(record: NodeRecord, identity: NodeIdentity): Promise<Member> {
    const member = await this.deps.makeMember(record, identity);
    this.#member = member;
    await this.deps.onMember(member);
    return member;
  }

  #start(member: Member): void {
    member.start();
    const { nodeId, role } = member.record;
    this.deps.log.info({ node: nodeId, role }, "part of a swarm");
  }
}

// Of an identity whose key cannot be read.
const NO_KEY = new Uint8Array();
