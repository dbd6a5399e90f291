// The ports that services publish on every node, kept from other programs of this machine while the agent runs. One
// that another program has is its own: the mesh leaves it alone here, says so, and takes it when it is free.
import type { Clock } from "../../common/clock.js";
import type { Logger } from "../../common/log.js";
import type { Timing } from "../../common/timing.js";
import type { MeshPort } from "../balance/published.js";
import type { HeldPort, PortHolder } from "../localnet/keeping.js";

export class MeshPorts {
  readonly #held = new Map<string, HeldPort>();
  /** What another program has. */
  readonly #taken = new Map<string, MeshPort>();
  #stop = () => {};

  constructor(
    private readonly holder: PortHolder,
    private readonly clock: Clock,
    private readonly timing: Pick<Timing, "resyncMs">,
    private readonly log: Logger,
  ) {}

  /** Keeps these and lets all others go. */
  keep(ports: readonly MeshPort[]): void {
    const wanted = new Map(ports.map((port) => [keyOf(port), port]));
    for (const [key, held] of this.#held) {
      if (wanted.has(key)) continue;
      held.release();
      this.#held.delete(key);
    }
    for (const key of this.#taken.keys()) if (!wanted.has(key)) this.#taken.delete(key);
    for (const [key, port] of wanted) this.#take(key, port);
  }

  has(port: Pick<MeshPort, "protocol" | "port">): boolean {
    return this.#held.has(keyOf(port));
  }

  /** Of each port that another program has, a sentence. */
  problems(): readonly string[] {
    return [...this.#taken.values()].map(
      ({ protocol, port, name }) =>
        `port ${port}/${protocol} of service ${name} does not lead into the routing mesh on this node: another program, or a container of this node, has it`,
    );
  }

  /** Looks again from time to time for ports that were taken; `freed` is called when one could be had. */
  watch(freed: () => void): void {
    this.#stop = this.clock.every(this.timing.resyncMs, () => {
      const before = this.#taken.size;
      for (const [key, port] of this.#taken) this.#take(key, port);
      if (this.#taken.size < before) freed();
    });
  }

  close(): void {
    this.#stop();
    this.keep([]);
  }

  #take(key: string, port: MeshPort): void {
    if (this.#held.has(key)) return;
    const held = this.#hold(port);
    const said = { port: port.port, protocol: port.protocol, service: port.name };
    if (typeof held !== "string") {
      this.#held.set(key, held);
      if (this.#taken.delete(key)) this.log.info(said, "a published port is free again");
      return;
    }
    if (this.#taken.has(key)) return;
    this.#taken.set(key, port);
    this.log.warn(
      said,
      "a published port is taken by another program, or by a container of this node: it leads there and not into the mesh",
    );
  }

  #hold({ protocol, port }: MeshPort): HeldPort | "taken" | "no-such-address" {
    const held: HeldPort[] = [];
    const release = () => {
      for (const each of held) each.release();
    };
    for (const ip of EVERY) {
      const one = this.holder.hold(protocol, ip, port);
      if (typeof one === "string") {
        release();
        return one;
      }
      held.push(one);
    }
    return { release };
  }
}

/** The mesh leads in what comes by either family; a program may have a port of one alone. */
const EVERY = ["0.0.0.0", "::"];

function keyOf({ protocol, port }: Pick<MeshPort, "protocol" | "port">): string {
  return `${protocol} ${port}`;
}
