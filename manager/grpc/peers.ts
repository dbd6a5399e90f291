// Clients of the other managers: one channel for each address, shown this manager's certificate.
import type { TLSSocket } from "node:tls";
import { type Client, type ClientReadableStream, Metadata, type ServiceError } from "@grpc/grpc-js";
import { Refused } from "../../common/fault.js";
import { type CallSettings, callUnary, type UnaryMethod } from "../../common/grpc/call.js";
import { managerChannelCredentials, managerChannelOptions } from "../../common/grpc/channel.js";
import { type NotLeader, notLeaderOf, refusalOrFault } from "../../common/grpc/status.js";
import type { Identity } from "../../proto/gen/admin.js";
import { CertificateAuthorityClient } from "../../proto/gen/ca.js";
import { ControlClient } from "../../proto/gen/control.js";
import { RaftClient } from "../../proto/gen/raft.js";
import type { Caller, LeaderLink, Unary } from "../seams.js";
import { dialRaft } from "../wire/dial.js";
import { FORWARDED, REQUEST_ID } from "./serve.js";

export interface PeerOptions {
  readonly identity: Identity;
  readonly requestMs: number;
  /** How much slower than usual this machine is (1 to 100). */
  readonly scale: number;
}

interface Peer {
  readonly link: LeaderLink;
  close(): void;
}

export class Peers {
  readonly #peers = new Map<string, Peer>();
  #identity: Identity;

  constructor(private readonly options: PeerOptions) {
    this.#identity = options.identity;
  }

  /** The services of the manager at `addr`. The channel stays open until it is forgotten. */
  link(addr: string): LeaderLink {
    const known = this.#peers.get(addr);
    if (known) return known.link;
    const peer = this.#connect(addr);
    this.#peers.set(addr, peer);
    return peer.link;
  }

  /** Begins to connect to the manager at `addr`, for Raft's messages; the caller closes it. Throws when that is no address. */
  raftSocket(addr: string): TLSSocket {
    return dialRaft(addr, this.#identity);
  }

  /** Closes the channels to all but these addresses. */
  keepOnly(addrs: ReadonlySet<string>): void {
    for (const [addr, peer] of this.#peers) {
      if (addrs.has(addr)) continue;
      this.#peers.delete(addr);
      peer.close();
    }
  }

  renew(identity: Identity): void {
    this.#identity = identity;
    this.keepOnly(new Set());
  }

  close(): void {
    this.keepOnly(new Set());
  }

  #credentials() {
    return managerChannelCredentials(this.#identity);
  }

  #connect(addr: string): Peer {
    const options = managerChannelOptions(this.options.scale);
    const control = new ControlClient(addr, this.#credentials(), options);
    const shared = { ...options, channelOverride: control.getChannel() };
    const authority = new CertificateAuthorityClient(addr, this.#credentials(), shared);
    const raft = new RaftClient(addr, this.#credentials(), shared);
    const settings = { addr, timeoutMs: this.options.requestMs };
    const to = <Request, Response>(
      client: Client,
      method: UnaryMethod<Request, Response>,
    ): Unary<Request, Response> => {
      const bound: UnaryMethod<Request, Response> = method.bind(client);
      return (request, caller) => forward(bound, request, caller, settings);
    };
    return {
      link: {
        control: {
          getCluster: to(control, control.getCluster),
          getUnlockKey: to(control, control.getUnlockKey),
          updateCluster: to(control, control.updateCluster),
          listNodes: to(control, control.listNodes),
          updateNode: to(control, control.updateNode),
          removeNode: to(control, control.removeNode),
          listNetworks: to(control, control.listNetworks),
          createNetwork: to(control, control.createNetwork),
          removeNetwork: to(control, control.removeNetwork),
          listEndpoints: to(control, control.listEndpoints),
          createService: to(control, control.createService),
          updateService: to(control, control.updateService),
          removeService: to(control, control.removeService),
          getService: to(control, control.getService),
          listServices: to(control, control.listServices),
          getTask: to(control, control.getTask),
          listTasks: to(control, control.listTasks),
          createSecret: to(control, control.createSecret),
          updateSecret: to(control, control.updateSecret),
          removeSecret: to(control, control.removeSecret),
          listSecrets: to(control, control.listSecrets),
          createConfig: to(control, control.createConfig),
          updateConfig: to(control, control.updateConfig),
          removeConfig: to(control, control.removeConfig),
          listConfigs: to(control, control.listConfigs),
          listPolicies: to(control, control.listPolicies),
          allowPolicy: to(control, control.allowPolicy),
          removePolicy: to(control, control.removePolicy),
          serviceLogs: (request, caller) =>
            follow(control.serviceLogs(request, forwardedMetadata(caller)), addr, caller),
          checkSwarm: (request, caller) =>
            follow(control.checkSwarm(request, forwardedMetadata(caller)), addr, caller),
          inquire: (request, caller) =>
            follow(control.inquire(request, forwardedMetadata(caller)), addr, caller),
          probeNetwork: (request, caller) =>
            follow(control.probeNetwork(request, forwardedMetadata(caller)), addr, caller),
        },
        authority: { issueCertificate: to(authority, authority.issueCertificate) },
        membership: {
          join: to(raft, raft.join),
          leave: to(raft, raft.leave),
          hasSeat: to(raft, raft.hasSeat),
          setAddr: to(raft, raft.setAddr),
          report: to(raft, raft.report),
        },
      },
      close: () => control.close(),
    };
  }
}

async function forward<Request, Response>(
  method: UnaryMethod<Request, Response>,
  request: Request,
  caller: Caller,
  settings: CallSettings,
) {
  let notLeader: NotLeader | undefined;
  const result = await callUnary(method, request, {
    ...settings,
    signal: caller.signal,
    metadata: forwardedMetadata(caller),
    onError: (error) => {
      notLeader = notLeaderOf(error);
    },
  });
  // The manager we took for the leader is not: the asker looks for it again.
  if (notLeader) throw notLeader;
  return result;
}

async function* follow<T>(
  call: ClientReadableStream<T>,
  addr: string,
  caller: Caller,
): AsyncIterable<T> {
  const onAbort = () => call.cancel();
  caller.signal.addEventListener("abort", onAbort, { once: true });
  try {
    yield* call as AsyncIterable<T>;
  } catch (error) {
    const outcome = refusalOrFault(error as ServiceError, addr);
    throw outcome instanceof Error ? outcome : new Refused(outcome);
  } finally {
    caller.signal.removeEventListener("abort", onAbort);
    call.cancel();
  }
}

function forwardedMetadata({ requestId }: Caller): Metadata {
  const metadata = new Metadata();
  metadata.set(FORWARDED, "1");
  if (requestId !== "") metadata.set(REQUEST_ID, requestId);
  return metadata;
}
