// A seat in the Raft group from the outside: its port 2377, its channels to the others, and the member
// that answers there once it runs.
import { Fault, type Refusal, Refused, refuse } from "../common/fault.js";
import type { Identity, PortCounters } from "../proto/gen/admin.js";
import type { RaftMember } from "../proto/gen/raft.js";
import { admit } from "./ca/admission.js";
import { certificateSigner } from "./certs/authority.js";
import type { ManagerIdentity } from "./disk/identity-file.js";
import { Peers } from "./grpc/peers.js";
import { openSwarmPort, type SwarmPort } from "./grpc/sockets.js";
import type { Bootstrap } from "./loops/consensus-options.js";
import { type Member, type MemberOptions, openMember } from "./member.js";

export interface SeatOptions
  extends Omit<MemberOptions, "identity" | "bootstrap" | "peers" | "signer"> {
  /** How much slower than usual this machine is (1 to 100). */
  readonly scale: number;
}

export class Seat {
  #port: SwarmPort | undefined;
  #member: Member | undefined;

  private constructor(
    private readonly options: SeatOptions,
    /** The raft id in it is known only when the group has given it. */
    public identity: ManagerIdentity,
    readonly peers: Peers,
  ) {}

  /** Listens, and answers "starting" to all. A port that is taken is a Refusal that names it. */
  static async open(
    options: SeatOptions,
    identity: ManagerIdentity,
    tls: Identity,
  ): Promise<Seat | Refusal> {
    const { log, scale, timing } = options;
    const peers = new Peers({ identity: tls, requestMs: timing.requestMs, scale });
    const seat = new Seat(options, identity, peers);
    try {
      seat.#port = await openSwarmPort({
        listenAddr: identity.listenAddr,
        identity: tls,
        scale,
        log,
        services: () => seat.#member?.services ?? notYet(),
        admit: (path, peer) => admit(path, peer, identity.clusterId, seat.#member?.store.view),
      });
      return seat;
    } catch (error) {
      peers.close();
      if (!(error instanceof Fault) || error.code !== "LISTEN") throw error;
      const { addr, why } = error.data;
      return refuse("failed-precondition", `listen tcp ${addr}: ${why}`);
    }
  }

  /** From here on the port answers. */
  async start(bootstrap: Bootstrap): Promise<Member> {
    const { identity, peers, options } = this;
    const signer = certificateSigner(options.clock, options.random);
    this.#member = await openMember({ ...options, identity, bootstrap, peers, signer });
    return this.#member;
  }

  /** New connections, both ways, show this identity from now on. */
  renew(tls: Identity): void {
    this.#port?.renew(tls);
    this.peers.renew(tls);
    this.#member?.reconnect();
  }

  counters(): PortCounters | undefined {
    return this.#port?.counters();
  }

  async close(): Promise<void> {
    await this.#member?.close();
    this.peers.close();
    await this.#port?.close();
  }
}

export function memberOf(identity: ManagerIdentity): RaftMember {
  const { raftId, nodeId, advertiseAddr } = identity;
  return { raftId, nodeId, addr: advertiseAddr, learner: false };
}

function notYet(): never {
  throw new Refused(refuse("unavailable", "this manager is starting"));
}
