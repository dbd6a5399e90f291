// Clients of the other managers: one channel for each address, shown this manager's certificate.
import { type Client, Metadata, type ServiceError } from "@grpc/grpc-js";
import { Refused } from "../../common/fault.js";
import { type CallSettings, callUnary, type UnaryMethod } from "../../common/grpc/call.js";
import { managerChannelCredentials, managerChannelOptions } from "../../common/grpc/channel.js";
import { type NotLeader, notLeaderOf, refusalOrFault } from "../../common/grpc/status.js";
import type { Identity } from "../../proto/gen/admin.js";
import { CertificateAuthorityClient } from "../../proto/gen/ca.js";
import { ControlClient, type ProbeRequest, type ProbeResult } from "../../proto/gen/control.js";
import { RaftClient } from "../../proto/gen/raft.js";
import type { Caller, LeaderLink, Unary } from "../seams.js";
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

  /** A client for Raft.Step; the caller closes it. */
  raftClient(addr: string): RaftClient {
    return new RaftClient(addr, this.#credentials(), managerChannelOptions(this.options.scale));
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
          updateCluster: to(control, control.updateCluster),
          listNodes: to(control, control.listNodes),
          updateNode: to(control, control.updateNode),
          removeNode: to(control, control.removeNode),
          listNetworks: to(control, control.listNetworks),
          createNetwork: to(control, control.createNetwork),
          removeNetwork: to(control, control.removeNetwork),
          listEndpoints: to(control, control.listEndpoints),
          probeNetwork: (request, caller) => probe(control, addr, request, caller),
        },
        authority: { issueCertificate: to(authority, authority.issueCertificate) },
        membership: { join: to(raft, raft.join), leave: to(raft, raft.leave) },
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

async function* probe(
  control: ControlClient,
  addr: string,
  request: ProbeRequest,
  caller: Caller,
): AsyncIterable<ProbeResult> {
  const call = control.probeNetwork(request, forwardedMetadata(caller));
  const onAbort = () => call.cancel();
  caller.signal.addEventListener("abort", onAbort, { once: true });
  try {
    yield* call as AsyncIterable<ProbeResult>;
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
