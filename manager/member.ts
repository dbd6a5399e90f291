// One seat in the Raft group, running: log, store, loops and the services that stand on them. Made by
// manager.ts when this node becomes a manager, closed when it stops being one.

import { status } from "@grpc/grpc-js";
import type { Clock } from "../common/clock.js";
import { Closing } from "../common/closing.js";
import { Fault, isRefusal, messageOf } from "../common/fault.js";
import { peerIdentity } from "../common/grpc/peer-identity.js";
import type { Logger } from "../common/log.js";
import type { Random } from "../common/random.js";
import type { Timing } from "../common/timing.js";
import type { RaftMember, RaftServer } from "../proto/gen/raft.js";
import { admitStep } from "./ca/admission.js";
import type { ManagerIdentity } from "./disk/identity-file.js";
import { openLogDisk } from "./disk/log-disk.js";
import type { StateDir } from "./disk/state-dir.js";
import type { Peers } from "./grpc/peers.js";
import {
  createRaftTransport,
  type GrpcRaftTransport,
  raftStepHandler,
} from "./grpc/raft-transport.js";
import { authorityApi } from "./loops/certify.js";
import { startConsensus } from "./loops/consensus.js";
import type { Bootstrap, RunningConsensus } from "./loops/consensus-options.js";
import { controlApi } from "./loops/control.js";
import { Dispatch } from "./loops/dispatcher.js";
import { Leadership } from "./loops/leadership.js";
import { alignMembers, membershipApi } from "./loops/membership.js";
import { Router } from "./loops/route.js";
import { Writer } from "./loops/write.js";
import type {
  AuthorityApi,
  CertificateSigner,
  ControlApi,
  DispatcherApi,
  MembershipApi,
} from "./seams.js";
import { type Outcomes, Store } from "./store/store.js";

// Docker's default (ClusterSpec.snapshot_interval unset).
const SNAPSHOT_INTERVAL = 10_000;

export interface MemberOptions {
  readonly dir: StateDir;
  readonly identity: ManagerIdentity;
  readonly bootstrap: Bootstrap;
  readonly peers: Peers;
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
  readonly step: RaftServer["step"];
}

export interface Member {
  readonly services: MemberServices;
  readonly store: Store;
  readonly writer: Writer;
  readonly consensus: RunningConsensus<Outcomes>;
  readonly leadership: Leadership;
  /** New certificate: connections to the others are made anew. */
  reconnect(): void;
  close(): Promise<void>;
}

export async function openMember(options: MemberOptions): Promise<Member> {
  const { identity, peers, clock, random, timing, log } = options;
  const closing = new Closing(log);
  try {
    const store = new Store();
    const transport = openTransport(options, closing);
    const disk = await openLogDisk({ dir: options.dir, log });
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
    const leadership = new Leadership(consensus, clock);
    const writer = new Writer({ store, consensus, clock, log });
    const router = new Router({
      leadership,
      link: (addr) => peers.link(addr),
      clock,
      waitMs: timing.requestMs / 2,
    });
    const base = { ...options, store, consensus, writer, router, clusterId: identity.clusterId };
    const dispatch = new Dispatch({ ...base, helloMs: timing.dialMs });
    runLoops(options, closing, { leadership, writer, dispatch, membership: base });
    const seated = new Set<number>();
    followMembers(options, closing, consensus, seated);
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
          probe: (request, caller) => dispatch.probeNetwork(request, caller),
          nowMs: clock.nowMs,
        }),
        dispatcher: dispatch.api(),
        authority: authorityApi(base),
        membership: membershipApi(base),
        step: raftStepHandler({
          clusterId: identity.clusterId,
          deliver: (message) => transport.deliver(message),
          hasSeat: (raftId) => seated.has(raftId),
          authorize: (call, from) => {
            const { members, role, ready } = consensus.status();
            const member = members.find(({ raftId }) => raftId === from);
            const leads = role === "leader" && ready;
            return admitStep(peerIdentity(call), member?.nodeId, store.view, leads);
          },
        }),
      },
      store,
      writer,
      consensus,
      leadership,
      reconnect: () => transport.reconnect(),
      close: () => closing.closeAll(),
    };
  } catch (error) {
    await closing.closeAll();
    throw error;
  }
}

function openTransport(options: MemberOptions, closing: Closing): GrpcRaftTransport {
  const { identity, peers, clock, timing, log } = options;
  const refused = doubtful(options, closing);
  const transport = createRaftTransport({
    clusterId: identity.clusterId,
    selfRaftId: identity.raftId,
    connect: (member: RaftMember) => peers.raftClient(member.addr),
    clock,
    timing,
    log,
    onRefused: (member, code) => {
      if (code === status.PERMISSION_DENIED) refused(member);
    },
  });
  closing.push("raft transport", () => transport.close());
  return transport;
}

/**
 * A member that was removed is not sent the entry that says so; it hears of it by being refused. One
 * refusal may be a manager that lags, so the leader is asked, by asking it for the seat again.
 */
function doubtful(options: MemberOptions, closing: Closing): (member: RaftMember) => void {
  const { identity, peers, clock, timing, log } = options;
  const stop = new AbortController();
  closing.push("doubts", () => stop.abort(new Fault("STOPPED")));
  let asking = false;
  const ask = async (member: RaftMember) => {
    const { membership } = peers.link(member.addr);
    const request = { addr: identity.advertiseAddr, nodeId: "" };
    const caller = { ...NOBODY, signal: stop.signal };
    const answer = await membership.join(request, caller);
    const gone = isRefusal(answer)
      ? answer.code === "permission-denied"
      : answer.raftId !== identity.raftId;
    if (gone) options.onRemoved();
    await clock.sleep(timing.retryMaxMs, stop.signal);
  };
  return (member) => {
    if (asking || stop.signal.aborted) return;
    asking = true;
    ask(member)
      .catch((error: unknown) => log.debug({ err: messageOf(error) }, "could not ask for the seat"))
      .finally(() => {
        asking = false;
      });
  };
}

// This process asking in its own name: its certificate says the rest.
const NOBODY = { peer: undefined, local: true, forwarded: false, requestId: "", remoteAddr: "" };

interface Loops {
  readonly leadership: Leadership;
  readonly writer: Writer;
  readonly dispatch: Dispatch;
  readonly membership: Parameters<typeof alignMembers>[0];
}

function runLoops(options: MemberOptions, closing: Closing, loops: Loops): void {
  const stop = new AbortController();
  const { log } = options;
  const running = Promise.all([
    loops.writer.run(stop.signal),
    loops.leadership.run(
      async (term) => {
        await Promise.all([loops.dispatch.lead(term), alignMembers(loops.membership, term)]);
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

/** Channels to those that are gone are closed; a manager that finds itself gone says so. */
function followMembers(
  options: MemberOptions,
  closing: Closing,
  consensus: RunningConsensus<Outcomes>,
  seated: Set<number>,
): void {
  const { identity, peers } = options;
  let wasMember = false;
  const look = () => {
    const { members } = consensus.status();
    seated.clear();
    for (const { raftId } of members) seated.add(raftId);
    const isMember = members.some(({ raftId }) => raftId === identity.raftId);
    if (wasMember && !isMember) options.onRemoved();
    wasMember ||= isMember;
    peers.keepOnly(new Set(members.map(({ addr }) => addr)));
  };
  closing.push("member watch", consensus.changed.subscribe(look));
  look();
}
