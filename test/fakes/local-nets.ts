// The node's own networks without a kernel: the real loop, a machine that has no routes, ports that anybody
// may have once, and a disk that forgets.
import type { HeldPort, LocalPlacing, PortHolder } from "../../agent/localnet/keeping.js";
import { LocalNets } from "../../agent/loops/local-nets.js";
import type { EventPublisher } from "../../agent/loops/placing.js";
import type { NamespaceHave } from "../../agent/reconcile/have.js";
import type { LocalWant } from "../../agent/reconcile/local-want.js";
import { type Clock, systemClock } from "../../common/clock.js";
import { silentLogger } from "../../common/log.js";
import { type Random, systemRandom } from "../../common/random.js";
import { DEFAULT_TIMING } from "../../common/timing.js";

export class FakeLocalPlacing implements LocalPlacing {
  readonly wants: LocalWant[] = [];
  have: NamespaceHave = { links: [], addresses: [], routes: [] };
  /** What `localReady` meets. */
  failure: Error | undefined;

  setLocal(want: LocalWant): void {
    this.wants.push(want);
  }
  async localReady(): Promise<void> {
    if (this.failure !== undefined) throw this.failure;
  }
  async localSettled(): Promise<void> {}
  isTaken(device: string): boolean {
    return this.have.links.some(({ name }) => name === device);
  }
  machine(): NamespaceHave {
    return this.have;
  }
}

export class FakePorts implements PortHolder {
  /** "tcp 0.0.0.0:8080"; add one that another program has. */
  readonly taken = new Set<string>();

  hold(protocol: string, ip: string, port: number): HeldPort | "taken" | "no-such-address" {
    if (ip.startsWith("203.0.113.")) return "no-such-address";
    const key = `${protocol} ${ip}:${port}`;
    if (this.taken.has(key)) return "taken";
    this.taken.add(key);
    return { release: () => void this.taken.delete(key) };
  }
  range() {
    return { first: 32_768, last: 32_770 };
  }
}

/** Ready when the microtasks are done. */
export function fakeLocalNets(
  events: EventPublisher,
  random: Random = systemRandom,
  clock: Clock = systemClock,
): LocalNets {
  const nets = new LocalNets({
    placing: new FakeLocalPlacing(),
    ports: new FakePorts(),
    disk: { load: async () => undefined, save: async () => {} },
    events,
    clock,
    random,
    timing: DEFAULT_TIMING,
    log: silentLogger(),
  });
  void nets.load();
  return nets;
}
