// One seat in the Raft group, running: log, store, loops and the services that stand on them. Made when
// this node becomes a manager, or resumes being one; closed when it stops. Disk and network are given to it.
import type { ProvenPeer } from "../common/certificates.js";
import type { Clock } from "../common/clock.js";
import { Closing } from "../common/closing.js";
import { Fault, messageOf } from "../common/fault.js";
import type { Logger } from "../common/log.js";
import type { Random } from "../common/random.js";
import type { Timing } from "../common/timing.js";
import type { ManagerReport } from "../proto/gen/admin.js";
import type { RaftMember } from "../proto/gen/raft.js";
import { admitStep } from "./ca/admission.js";
import { authorityApi } from "./loops/certify.js";
import { startConsensus } from "./loops/consensus.js";
import type { RunningConsensus } from "./loops/consensus-options.js";
import { controlApi } from "./loops/control.js";
import { Dispatch } from "./loops/dispatcher.js";
import { groupReports, linksOf } from "./loops/group-reports.js";
import { Leadership } from "./loops/leadership.js";
import { alignMembers, membershipApi } from "./loops/membership.js";
import { Orchestrator } from "./loops/orchestrate.js";
import { endRotations } from "./loops/root-rotation.js";
import { Router } from "./loops/route.js";
import { schedule } from "./loops/schedule.js";
import { followSealing, type SealingOptions } from "./loops/sealing.js";
import { SeatDoubts } from "./loops/seat-doubt.js";
import { ToldAddresses } from "./loops/told-addresses.js";
import { Writer } from "./loops/write.js";
import type {
  AuthorityApi,
  Bootstrap,
  CertificateSigner,
  ControlApi,
  DispatcherApi,
  LeaderLink,
  LogDisk,
  ManagerIdentity,
  ManagerKeys,
  MembershipApi,
  RaftTransport,
} from "./seams.js";
import { type Outcomes, Store } from "./store/store.js";

// Docker's default (ClusterSpec.snapshot_interval unset).
const SNAPSHOT_INTERVAL = 10_000;

/** The other managers, as a member reaches them. */
export interface MemberPeers {
  /** The services of the manager at `addr`. */
  link(addr: string): LeaderLink;
  /** Closes the channels to all but these addresses. */
  keepOnly(addrs: ReadonlySet<string>): void;
}

export interface MemberTransport extends RaftTransport {
  /** Where members are reached that are not where the log says, by raft id: as they or a person said. */
  readonly believed?: ReadonlyMap<number, string>;
  /** Members whose connection broke and who were not heard since, by raft id: why. */
  readonly lost?: ReadonlyMap<number, string>;
  /** Dials the member there from now on, until the log says otherwise. */
  dial?(raftId: number, addr: string): void;
  close(): Promise<void>;
}

export interface MemberOptions {
  readonly identity: ManagerIdentity;
  readonly bootstrap: Bootstrap;
  readonly openDisk: () => Promise<LogDisk>;
  /** Of the disk that `openDisk` opens. */
  readonly keys: ManagerKeys;
  /** `onRefused`: a member does not take our messages, for it holds that we have no seat. */
  readonly openTransport: (onRefused: (member: RaftMember) => void) => MemberTransport;
  readonly peers: MemberPeers;
  readonly signer: CertificateSigner;
  readonly clock: Clock;
  readonly random: Random;
  readonly timing: Timing;
  readonly log: Logger;
  /** The group has removed this manager. */
  readonly onRemoved: () => void;
  /** The log cannot go on. */
  readonly onFailure: (error: unknown) => void;
}

export interface MemberServices {
  readonly control: ControlApi;
  readonly dispatcher: DispatcherApi;
  readonly authority: AuthorityApi;
  readonly membership: MembershipApi;
}

export interface Member {
  readonly services: MemberServices;
  readonly store: Store;
  readonly writer: Writer;
  readonly consensus: RunningConsensus<Outcomes>;
  readonly leadership: Leadership;
  /** Whether Raft messages of `from` may come from this peer: true, or why not. */
  admitsStep(peer: ProvenPeer | undefined, from: number): true | string;
  /** Cheap: asked for every message. */
  hasSeat(raftId: number): boolean;
  /** What every manager says of itself, this one too; never throws. */
  reports(signal: AbortSignal): Promise<readonly ManagerReport[]>;
  /** Has this manager, and no other, reach that member there: for when nobody leads. */
  dial(member: RaftMember, addr: string): void;
  close(): Promise<void>;
}

export async function openMember(options: MemberOptions): Promise<Member> {
  const { identity, peers, clock, random, timing, log } = options;
  const closing = new Closing(log);
  try {
    const store = new Store();
    const generation = () => store.view.cluster()?.generation ?? 0;
    let members: () => readonly RaftMember[] = () => [];
    const doubts = new SeatDoubts({
      raftId: identity.raftId,
      members: () => members(),
      generation,
      link: (addr) => peers.link(addr),
      clock,
      timing,
      log,
      onGone: options.onRemoved,
    });
    closing.push("doubts", () => doubts.close());
    const transport = options.openTransport((refusing) => doubts.refused(refusing));
    closing.push("raft transport", () => transport.close());
    const disk = await options.openDisk();
    const consensus = await startConsensus<Outcomes>({
      bootstrap: options.bootstrap,
      clusterId: identity.clusterId,
      disk,
      transport,
      machine: store,
      clock,
      random,
      timing,
      log,
      snapshotInterval: SNAPSHOT_INTERVAL,
      onFailure: options.onFailure,
    });
    closing.push("consensus", () => consensus.close());
    members = () => consensus.status().members;
    const leadership = new Leadership(consensus, clock);
    const writer = new Writer({ store, consensus, clock, log });
    const router = new Router({
      leadership,
      link: (addr) => peers.link(addr),
      clock,
      waitMs: timing.requestMs / 2,
    });
    const base = {
      ...options,
      store,
      consensus,
      writer,
      router,
      clusterId: identity.clusterId,
      advertiseAddr: identity.advertiseAddr,
      believed: () => transport.believed ?? new Map(),
      report: () => ({ ...consensus.report(), links: linksOf(transport.lost) }),
    };
    const dispatch = new Dispatch({ ...base, helloMs: timing.dialMs });
    const sealing = { ...base, onSealed: () => consensus.snapshotSoon() };
    const membership = membershipApi(base);
    const told = new ToldAddresses(membership, leadership);
    runLoops(options, closing, { leadership, writer, dispatch, membership: base, sealing, told });
    const seated = new Set<number>();
    followMembers({ peers, consensus, seated, doubts, closing });
    const tune = () => {
      const wanted = store.view.cluster()?.spec?.snapshotInterval ?? 0;
      consensus.setSnapshotInterval(wanted || SNAPSHOT_INTERVAL);
    };
    closing.push("settings watch", store.changes.subscribe(tune));
    tune();
    return {
      services: {
        control: controlApi({
          ...base,
          check: (request, caller) => dispatch.checkSwarm(request, caller),
          probe: (request, caller) => dispatch.probeNetwork(request, caller),
          logs: (request, caller) => dispatch.serviceLogs(request, caller),
          inquire: (request, caller) => dispatch.inquire(request, caller),
          clocks: () => dispatch.clocks(),
          nowMs: clock.nowMs,
        }),
        dispatcher: dispatch.api(),
        authority: authorityApi(base),
        membership,
      },
      store,
      writer,
      consensus,
      leadership,
      hasSeat: (raftId) => seated.has(raftId),
      reports: (signal) => groupReports({ ...base, link: (addr) => peers.link(addr) }, signal),
      dial: ({ raftId, nodeId }, addr) => {
        transport.dial?.(raftId, addr);
        told.note(nodeId, addr);
      },
      admitsStep: (peer, from) => {
        const { members, role, ready } = consensus.status();
        const member = members.find(({ raftId }) => raftId === from);
        return admitStep(peer, member?.nodeId, store.view, role === "leader" && ready);
      },
      close: () => closing.closeAll(),
    };
  } catch (error) {
    await closing.closeAll();
    throw error;
  }
}

interface Loops {
  readonly leadership: Leadership;
  readonly writer: Writer;
  readonly dispatch: Dispatch;
  readonly membership: Parameters<typeof alignMembers>[0];
  readonly sealing: SealingOptions;
  readonly told: ToldAddresses;
}

function runLoops(options: MemberOptions, closing: Closing, loops: Loops): void {
  const stop = new AbortController();
  const { log } = options;
  const running = Promise.all([
    loops.writer.run(stop.signal),
    followSealing(loops.sealing, stop.signal),
    loops.told.run(stop.signal),
    loops.leadership.run(
      async (term) => {
        await Promise.all([
          loops.dispatch.lead(term),
          alignMembers(loops.membership, term),
          new Orchestrator(loops.membership).run(term),
          schedule(loops.membership, term),
          endRotations(loops.membership, term),
        ]);
      },
      log,
      stop.signal,
    ),
  ]);
  running.catch((error: unknown) => {
    if (!stop.signal.aborted) options.onFailure(error);
  });
  closing.push("loops", async () => {
    stop.abort(new Fault("STOPPED"));
    await running.catch((error: unknown) => {
      log.warn({ err: messageOf(error) }, "a loop failed while stopping");
    });
  });
}

interface Following {
  readonly peers: MemberPeers;
  readonly consensus: RunningConsensus<Outcomes>;
  /** Kept in step. */
  readonly seated: Set<number>;
  readonly doubts: SeatDoubts;
  readonly closing: Closing;
}

/** Channels to those that are gone are closed; a manager that finds itself gone asks whether it is. */
function followMembers({ peers, consensus, seated, doubts, closing }: Following): void {
  const look = () => {
    const { members } = consensus.status();
    seated.clear();
    for (const { raftId } of members) seated.add(raftId);
    doubts.membersChanged();
    peers.keepOnly(new Set(members.map(({ addr }) => addr)));
  };
  closing.push("member watch", consensus.changed.subscribe(look));
  look();
}
