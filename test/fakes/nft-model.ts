// A small model of nf_tables and conntrack in one namespace, for the tests of tables: packets go through the hooks
// in the order of priorities, connections are followed and translated as the kernel does it. It knows no routes
// beyond what it is told, and no fragments, timeouts or helpers. test/netns/nft-agreement.test.ts holds it to the
// kernel.

import * as nft from "../../agent/netlink/nftables-constants.js";
import type { RejectWith } from "../../agent/netlink/nftables-expression.js";
import type { ChainWant, TableWant } from "../../agent/reconcile/table-want.js";
import { formatIp, type Ip, parseIp } from "../../common/address.js";
import {
  type Connection,
  type Packet,
  runChain,
  type Translation,
  type Verdict,
} from "./nft-rules.js";

export type { Packet } from "./nft-rules.js";

export interface ModelOptions {
  /** Whether the address is this namespace's own. Loopback always is. */
  readonly isLocal?: (ip: Ip) => boolean;
  /** The interface that a packet leaves by; asked again when its destination or mark was changed. */
  readonly route?: (destination: Ip, mark: number) => string;
  /** This namespace's address on the interface, for masquerade and redirect. */
  readonly addressOf?: (device: string, family: 4 | 6) => Ip;
  /** 0 to before `modulus`; without it each in turn. */
  readonly random?: (modulus: number) => number;
}

/** Where it got to, and as what. */
export interface Outcome {
  readonly verdict: "accept" | "drop" | "reject";
  readonly with?: RejectWith;
  readonly packet: Packet;
  readonly ctMark: number;
  readonly state: "new" | "established" | "related";
}

interface Flow {
  readonly original: Tuple;
  /** What answers look like: the other way round, as translated. */
  reply: Tuple;
  mark: number;
  status: number;
  answered: boolean;
  confirmed: boolean;
  destinationDone: boolean;
  sourceDone: boolean;
}
interface Tuple {
  readonly protocol: number;
  readonly source: Ip;
  readonly destination: Ip;
  readonly sourcePort: number;
  readonly destinationPort: number;
}

const { NF_INET_PRE_ROUTING, NF_INET_LOCAL_IN, NF_INET_FORWARD } = nft;
const { NF_INET_LOCAL_OUT, NF_INET_POST_ROUTING, NF_NETDEV_EGRESS } = nft;
// netfilter_ipv4.h: NF_IP_PRI_CONNTRACK.
const PRIORITY_CONNTRACK = -200;
// rtnetlink.h
const RTN_UNICAST = 1;
const IPS_SEEN_REPLY = 2;

export function packetOf(
  source: string,
  destination: string,
  more: Partial<Omit<Packet, "source" | "destination">> = {},
): Packet {
  return {
    source: ipOf(source),
    destination: ipOf(destination),
    protocol: 6,
    sourcePort: 40_000,
    destinationPort: 80,
    iif: "",
    oif: "",
    mark: 0,
    sourceMac: undefined,
    destinationMac: undefined,
    ...more,
  };
}

export class NftModel {
  /** Rules may change; connections stay. */
  tables: readonly TableWant[];
  #flows: Flow[] = [];
  #turn = 0;

  constructor(
    tables: readonly TableWant[],
    private readonly options: ModelOptions = {},
  ) {
    this.tables = tables;
  }

  /** This namespace sends it. */
  output(packet: Packet): Outcome {
    const walk = new Walk(this, packet);
    walk.hook(NF_INET_LOCAL_OUT);
    walk.reroute();
    walk.hook(NF_INET_POST_ROUTING);
    walk.egress();
    return walk.outcome();
  }

  /** It comes in, for this namespace or to go on. */
  receive(packet: Packet): Outcome {
    const walk = new Walk(this, packet);
    walk.hook(NF_INET_PRE_ROUTING);
    if (this.isLocal(walk.packet.destination)) {
      walk.hook(NF_INET_LOCAL_IN);
      return walk.outcome();
    }
    walk.reroute();
    walk.hook(NF_INET_FORWARD);
    walk.hook(NF_INET_POST_ROUTING);
    walk.egress();
    return walk.outcome();
  }

  /** As conntrack's entries are deleted. */
  forget(which: (original: Tuple, reply: Tuple) => boolean): void {
    this.#flows = this.#flows.filter(({ original, reply }) => !which(original, reply));
  }

  // ---- For a walk

  isLocal(ip: Ip): boolean {
    const loopback = ip.family === 4 ? ip.value >> 24n === 127n : ip.value === 1n;
    return loopback || (this.options.isLocal?.(ip) ?? false);
  }

  random(modulus: number): number {
    return this.options.random?.(modulus) ?? this.#turn++ % modulus;
  }

  route(packet: Packet): string {
    return this.options.route?.(packet.destination, packet.mark) ?? packet.oif;
  }

  addressOf(device: string, family: 4 | 6): Ip {
    const loopback = ipOf(family === 4 ? "127.0.0.1" : "::1");
    return this.options.addressOf?.(device, family) ?? loopback;
  }

  find(tuple: Tuple): { readonly flow: Flow; readonly direction: 0 | 1 } {
    const key = keyOf(tuple);
    for (const flow of this.#flows) {
      if (keyOf(flow.original) === key) return { flow, direction: 0 };
      if (keyOf(flow.reply) === key) return { flow, direction: 1 };
    }
    return { flow: newFlow(tuple), direction: 0 };
  }

  confirm(flow: Flow): void {
    if (flow.confirmed) return;
    flow.confirmed = true;
    this.#flows.push(flow);
  }
}

class Walk {
  #found: { readonly flow: Flow; readonly direction: 0 | 1 } | undefined;
  #state: Outcome["state"] = "new";
  #end: Verdict | undefined;

  constructor(
    private readonly model: NftModel,
    public packet: Packet,
  ) {}

  hook(hook: number): void {
    const stages = this.#stages("inet", (base) => base.hook === hook);
    const tracks = hook === NF_INET_PRE_ROUTING || hook === NF_INET_LOCAL_OUT;
    const natAt = hook === NF_INET_POST_ROUTING || hook === NF_INET_LOCAL_IN ? 100 : -100;
    const all = [
      ...(tracks ? [{ priority: PRIORITY_CONNTRACK, run: () => this.#track() }] : []),
      ...(hook === NF_INET_FORWARD
        ? []
        : [{ priority: natAt, run: () => this.#nat(stages.filter(isNat), natAt > 0) }]),
      ...stages
        .filter((stage) => !isNat(stage))
        .map((stage) => ({ priority: stage.base.priority, run: () => this.#filter(stage) })),
    ];
    for (const { run } of all.toSorted((a, b) => a.priority - b.priority)) {
      if (this.#end === undefined) run();
    }
  }

  reroute(): void {
    if (this.#end === undefined)
      this.packet = { ...this.packet, oif: this.model.route(this.packet) };
  }

  egress(): void {
    const leaves = (base: NonNullable<ChainWant["base"]>) =>
      base.hook === NF_NETDEV_EGRESS && (base.devices ?? []).includes(this.packet.oif);
    const stages = this.#stages("netdev", leaves);
    for (const stage of stages.toSorted((a, b) => a.base.priority - b.base.priority)) {
      if (this.#end === undefined) this.#filter(stage);
    }
  }

  outcome(): Outcome {
    const kind = this.#end?.kind;
    const verdict = kind === "drop" || kind === "reject" ? kind : "accept";
    const flow = this.#found?.flow;
    if (flow !== undefined && verdict === "accept") this.model.confirm(flow);
    return {
      verdict,
      ...(this.#end?.kind === "reject" ? { with: this.#end.with } : {}),
      packet: this.packet,
      ctMark: flow?.mark ?? 0,
      state: this.#state,
    };
  }

  #stages(
    family: TableWant["family"],
    which: (base: NonNullable<ChainWant["base"]>) => boolean,
  ): Stage[] {
    return this.model.tables
      .filter((table) => table.family === family)
      .flatMap((table) =>
        table.chains.flatMap(({ name, base }) =>
          base !== undefined && which(base) ? [{ table, name, base }] : [],
        ),
      );
  }

  #track(): void {
    this.#found = this.model.find(tupleOf(this.packet));
    const { flow, direction } = this.#found;
    if (direction === 1) {
      flow.answered = true;
      flow.status |= IPS_SEEN_REPLY;
    }
    this.#state = flow.answered ? "established" : "new";
  }

  #run({ table, name }: Stage): Verdict | undefined {
    const found = this.#found;
    const connection: Connection | undefined = found && {
      state: this.#state === "new" ? nft.NF_CT_STATE_NEW : nft.NF_CT_STATE_ESTABLISHED,
      status: found.flow.status,
      direction: found.direction,
      mark: found.flow.mark,
    };
    const { verdict, packet } = runChain(name, this.packet, {
      table,
      connection,
      random: (modulus) => this.model.random(modulus),
      typeOf: (ip) => (this.model.isLocal(ip) ? nft.RTN_LOCAL : RTN_UNICAST),
    });
    this.packet = packet;
    if (found !== undefined && connection !== undefined) found.flow.mark = connection.mark;
    return verdict;
  }

  #filter(stage: Stage): void {
    const verdict = this.#run(stage) ?? { kind: stage.base.policy };
    if (verdict.kind === "drop" || verdict.kind === "reject") this.#end = verdict;
  }

  /** The first packet of a connection asks the rules; all of it is then translated alike. */
  #nat(stages: readonly Stage[], ofSource: boolean): void {
    const found = this.#found;
    if (found === undefined) return;
    const { flow } = found;
    const done = ofSource ? flow.sourceDone : flow.destinationDone;
    if (!done && found.direction === 0) {
      for (const stage of stages.toSorted((a, b) => a.base.priority - b.base.priority)) {
        const verdict = this.#run(stage) ?? { kind: stage.base.policy };
        if (verdict.kind === "drop" || verdict.kind === "reject") {
          this.#end = verdict;
          return;
        }
        const to = this.#translation(verdict);
        if (to === undefined) continue;
        this.#bind(flow, to, ofSource);
        break;
      }
      if (ofSource) flow.sourceDone = true;
      else flow.destinationDone = true;
    }
    this.#translate(flow, found.direction, ofSource);
  }

  #translation(verdict: Verdict): Translation | undefined {
    const { family } = this.packet.destination;
    switch (verdict.kind) {
      case "dnat":
      case "snat":
        return verdict.to;
      case "masquerade":
        return { address: this.model.addressOf(this.packet.oif, family), port: undefined };
      case "redirect": {
        const { iif } = this.packet;
        const here = iif === "" ? ipOf(family === 4 ? "127.0.0.1" : "::1") : undefined;
        return { address: here ?? this.model.addressOf(iif, family), port: verdict.port };
      }
      default:
        return undefined;
    }
  }

  #bind(flow: Flow, { address, port }: Translation, ofSource: boolean): void {
    const { reply } = flow;
    if (ofSource) {
      flow.reply = {
        ...reply,
        destination: address,
        destinationPort: port ?? reply.destinationPort,
      };
      if (!same(address, flow.original.source)) flow.status |= nft.IPS_SRC_NAT;
    } else {
      flow.reply = { ...reply, source: address, sourcePort: port ?? reply.sourcePort };
      const { destination, destinationPort } = flow.original;
      const moved = !same(address, destination) || flow.reply.sourcePort !== destinationPort;
      if (moved) flow.status |= nft.IPS_DST_NAT;
    }
  }

  /** Destinations where packets come from, sources where they leave; of answers the other way round. */
  #translate({ original, reply }: Flow, direction: 0 | 1, ofSource: boolean): void {
    const other = direction === 0 ? reply : original;
    this.packet = ofSource
      ? { ...this.packet, source: other.destination, sourcePort: other.destinationPort }
      : { ...this.packet, destination: other.source, destinationPort: other.sourcePort };
  }
}

interface Stage {
  readonly table: TableWant;
  readonly name: string;
  readonly base: NonNullable<ChainWant["base"]>;
}

function isNat({ base }: Stage): boolean {
  return base.type === "nat";
}

function newFlow(original: Tuple): Flow {
  const { protocol, source, destination, sourcePort, destinationPort } = original;
  return {
    original,
    reply: {
      protocol,
      source: destination,
      destination: source,
      sourcePort: destinationPort,
      destinationPort: sourcePort,
    },
    mark: 0,
    status: 0,
    answered: false,
    confirmed: false,
    destinationDone: false,
    sourceDone: false,
  };
}

function tupleOf({ protocol, source, destination, sourcePort, destinationPort }: Packet): Tuple {
  return { protocol, source, destination, sourcePort, destinationPort };
}

function keyOf({ protocol, source, destination, sourcePort, destinationPort }: Tuple): string {
  return [protocol, formatIp(source), sourcePort, formatIp(destination), destinationPort].join(" ");
}

function same(a: Ip, b: Ip): boolean {
  return a.family === b.family && a.value === b.value;
}

function ipOf(text: string): Ip {
  const ip = parseIp(text);
  if (ip === undefined) throw new Error(`no address: ${text}`);
  return ip;
}
