// A seat in the Raft group from the outside: its port 2377, its channels to the others, and the member
// that answers there once it runs.
import { status } from "@grpc/grpc-js";
import { Fault, messageOf, type Refusal, Refused, refuse } from "../common/fault.js";
import type { Identity, PortCounters } from "../proto/gen/admin.js";
import { admit } from "./ca/admission.js";
import { isBarred } from "./ca/barred.js";
import { certificateSigner } from "./certs/authority.js";
import { loadAddresses, saveAddresses } from "./disk/address-file.js";
import type { Keyring } from "./disk/keyring.js";
import { openLogDisk } from "./disk/log-disk.js";
import type { StateDir } from "./disk/state-dir.js";
import { Peers } from "./grpc/peers.js";
import { openSwarmPort, type SwarmPort, type SwarmServices } from "./grpc/sockets.js";
import { type Member, type MemberOptions, openMember } from "./member.js";
import type { Bootstrap, LeaderLink, ManagerIdentity, ManagerSeat } from "./seams.js";
import { PeerAddresses } from "./wire/peer-addresses.js";
import { receiveRaft } from "./wire/raft-receiver.js";
import { createRaftTransport, type WireRaftTransport } from "./wire/raft-transport.js";

export interface SeatOptions
  extends Pick<MemberOptions, "clock" | "random" | "timing" | "log" | "onRemoved" | "onFailure"> {
  readonly dir: StateDir;
  readonly keys: Keyring;
  /** How much slower than usual this machine is (1 to 100). */
  readonly scale: number;
}

export class Seat implements ManagerSeat<Member> {
  #port: SwarmPort | undefined;
  #transport: WireRaftTransport | undefined;
  #services: SwarmServices | undefined;
  #member: Member | undefined;
  #unfollow: () => void = () => {};
  #saving: Promise<void> = Promise.resolve();

  private constructor(
    private readonly options: SeatOptions,
    /** The raft id in it is known only when the group has given it. */
    public identity: ManagerIdentity,
    private readonly peers: Peers,
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
        services: () => seat.#services ?? notYet(),
        isBarred: (nodeId) => seat.#isBarred(nodeId),
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

  link(addr: string): LeaderLink {
    return this.peers.link(addr);
  }

  /** From here on the port answers. */
  async start(bootstrap: Bootstrap): Promise<Member> {
    const { identity, peers, options } = this;
    const { clock, random, timing, log, dir, keys } = options;
    const addresses = new PeerAddresses(await loadAddresses(dir));
    const member = await openMember({
      ...options,
      identity,
      bootstrap,
      peers,
      signer: certificateSigner(clock, random),
      openDisk: () => openLogDisk({ dir, keys, log }),
      openTransport: (onRefused) => {
        this.#transport = createRaftTransport({
          clusterId: identity.clusterId,
          selfRaftId: identity.raftId,
          selfAddr: identity.advertiseAddr,
          addresses,
          onAddresses: () => this.#saveAddresses(addresses.believed),
          connect: ({ addr }) => peers.raftSocket(addr),
          clock,
          timing,
          log,
          onRefused: (refusing, { code }) => {
            if (code === status.PERMISSION_DENIED) onRefused(refusing);
          },
        });
        return this.#transport;
      },
    });
    this.#member = member;
    this.#services = { ...member.services, raft: this.#raft(member) };
    // Who was removed while this manager was away may be connected since the port was opened.
    this.#port?.cutBarred();
    this.#unfollow = member.store.changes.subscribe(({ restored, changed }) => {
      if (restored || changed.some(({ kind }) => kind === "cluster")) this.#port?.cutBarred();
    });
    return member;
  }

  #raft(member: Member): SwarmServices["raft"] {
    return (socket, peer) =>
      receiveRaft(socket, {
        clusterId: this.identity.clusterId,
        deliver: (message) => this.#transport?.deliver(message),
        hasSeat: (raftId) => member.hasSeat(raftId),
        authorize: (from) => member.admitsStep(peer, from),
      });
  }

  /** One write at a time; what changes meanwhile is in the next. */
  #saveAddresses(believed: ReadonlyMap<number, string>): void {
    const { dir, log } = this.options;
    this.#saving = this.#saving
      .then(() => saveAddresses(dir, believed))
      .catch((error: unknown) => log.warn({ err: messageOf(error) }, "addresses not saved"));
  }

  #isBarred(nodeId: string): boolean {
    const cluster = this.#member?.store.view.cluster();
    return cluster !== undefined && isBarred(cluster, nodeId);
  }

  /** New connections, both ways, show this identity from now on. */
  renew(tls: Identity): void {
    this.#port?.renew(tls);
    this.peers.renew(tls);
    this.#transport?.reconnect();
  }

  counters(): PortCounters | undefined {
    return this.#port?.counters();
  }

  async close(): Promise<void> {
    this.#unfollow();
    await this.#member?.close();
    await this.#saving;
    this.peers.close();
    await this.#port?.close();
  }
}

function notYet(): never {
  throw new Refused(refuse("unavailable", "this manager is starting"));
}
