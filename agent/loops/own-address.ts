// Follows this node's address on the data path: when it is on no interface any more and it can be told which one
// came in its place, the node speaks from there, and says so to the swarm.
import { parseHostPort } from "../../common/address.js";
import type { Clock } from "../../common/clock.js";
import type { Logger } from "../../common/log.js";
import type { Timing } from "../../common/timing.js";
import { Signal, type Unsubscribe } from "../../common/watch.js";
import { movedAddress } from "../member/moved-address.js";
import type { MachineDoor } from "../seams.js";
import type { Findings } from "./findings.js";
import type { Member } from "./member.js";

// Choice: who renews an address may take it away and give it back; a link that flaps keeps it.
const GRACE_MS = 2_000;

export interface OwnAddressDeps {
  readonly machine: Pick<MachineDoor, "addresses" | "sourceTowards">;
  /** Calls back when an address of the machine may have changed. */
  readonly follow: (listener: () => void) => Unsubscribe;
  readonly member: () => Member | undefined;
  /** The member's address is another now. */
  readonly moved: () => void;
  readonly findings: Findings;
  readonly clock: Clock;
  readonly timing: Pick<Timing, "resyncMs">;
  readonly log: Logger;
}

export class OwnAddress {
  #seenOn: string | undefined;

  constructor(private readonly deps: OwnAddressDeps) {}

  /** Until the signal is aborted; never throws. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, timing, follow } = this.deps;
    const news = new Signal();
    const unfollow = follow(() => news.notify());
    const stop = clock.every(timing.resyncMs, () => news.notify());
    while (!signal.aborted) {
      await this.#look(signal).catch(() => {});
      await news.wait(signal).catch(() => {});
    }
    stop();
    unfollow();
  }

  async #look(signal: AbortSignal): Promise<void> {
    const { deps } = this;
    const member = deps.member();
    if (member === undefined || (await this.#isThere(member)))
      return deps.findings.report(SOURCE, []);
    await deps.clock.sleep(GRACE_MS, signal);
    if (deps.member() !== member || (await this.#isThere(member))) return;
    const had = member.record.dataPathAddr;
    const towardsSwarm = await this.#towardsSwarm(member);
    const machine = await deps.machine.addresses();
    const address = movedAddress(
      { address: had, interfaceName: this.#seenOn, towardsSwarm },
      machine,
    );
    if (address === undefined) return this.#report(had);
    deps.log.warn({ had, address }, "this node's address on the data path has changed");
    member.setDataPathAddr(address);
    deps.moved();
    deps.findings.report(SOURCE, []);
  }

  async #isThere({ record }: Member): Promise<boolean> {
    const machine = await this.deps.machine.addresses();
    const found = machine.find(({ address }) => address === record.dataPathAddr);
    this.#seenOn = found?.interfaceName ?? this.#seenOn;
    return found !== undefined;
  }

  /** Only where the data path goes the way of all else. */
  async #towardsSwarm({ record }: Member): Promise<string | undefined> {
    if (parseHostPort(record.advertiseAddr, 0)?.host !== record.dataPathAddr) return undefined;
    for (const { addr } of record.managers) {
      const target = parseHostPort(addr, 0);
      const source = target && (await this.deps.machine.sourceTowards(target.host));
      if (source !== undefined && source !== target?.host) return source;
    }
    return undefined;
  }

  #report(had: string): void {
    this.deps.findings.report(SOURCE, [
      {
        subject: "data path address",
        what: `The data path address ${had} is on no interface of this machine, and it cannot be told which came in its place.`,
        where: this.#seenOn ?? "this machine",
        remedy: `Give ${had} back to an interface, or leave the swarm and join again with --data-path-addr.`,
      },
    ]);
  }
}

const SOURCE = "own address";
