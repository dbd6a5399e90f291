// The kernel seam on the real kernel: dumps, steps and events, by netlink and setns. It decides nothing
// but how a step is done. All of it is synchronous; turns are given to others between namespaces and
// between steps.

import { closeSync } from "node:fs";
import { setImmediate } from "node:timers/promises";
import type { Ip } from "../../common/address.js";
import { Fault, messageOf, unreachable } from "../../common/fault.js";
import type { Vni } from "../../common/ids.js";
import { Topic, type Unsubscribe } from "../../common/watch.js";
import type { HostHave, NamespaceHave, NetworkHave, Underlay } from "../reconcile/have.js";
import type { Kernel } from "../reconcile/kernel.js";
import { ALIAS, sandboxKey } from "../reconcile/names.js";
import { describe, type Step } from "../reconcile/step.js";
import type { SandboxRef } from "../reconcile/want.js";
import { makeEndpoint, makeSandbox, removeEndpoint, removeSandbox } from "./endpoint-steps.js";
import { epollAdd, epollAny, epollCreate } from "./libc.js";
import { lookAtNamespace, lookAtNetwork } from "./look.js";
import {
  dataPortProblem,
  dropRows,
  makeNetwork,
  makeVxlan,
  putRows,
  removeNetwork,
  removeVxlan,
} from "./network-steps.js";
import { Places } from "./places.js";

// Choice: how late we hear of somebody's meddling. Reading without waiting costs a microsecond, and a
// thread that waited instead would cost megabytes.
const EVENTS_EVERY_MS = 200;
// The last VNI there is: nobody's, unless somebody counts from the top.
const PROBE_VNI = 0xffffff as Vni;
const PROBE_MTU_BYTES = 1000;

export interface LinuxKernelOptions {
  /** Namespace files live in its `netns` folder; two agents on one machine have two. */
  readonly runDir: string;
}

export class LinuxKernel implements Kernel {
  readonly #places: Places;
  readonly #epoll = epollCreate();
  readonly #changed = new Topic<void>();
  readonly #timer: NodeJS.Timeout;
  #closed = false;

  constructor({ runDir }: LinuxKernelOptions) {
    this.#places = new Places(runDir, (events) => epollAdd(this.#epoll, events.fd));
    this.#timer = setInterval(() => this.#readEvents(), EVENTS_EVERY_MS);
    this.#timer.unref();
  }

  async dump(insides: readonly SandboxRef[]): Promise<HostHave> {
    const places = this.#places;
    const { vnis, sandboxes } = places.list();
    const found = vnis.map((vni) => ({ vni, place: places.network(vni) }));
    if (places.drain()) this.#changed.publish();
    const underlay = lookAtNamespace(places.underlay.socket);
    const networks = new Map<number, NetworkHave>();
    for (const { vni, place } of found) {
      if (place !== undefined) networks.set(vni, lookAtNetwork(place.socket, vni));
      await setImmediate();
      this.#mustBeOpen();
    }
    const seen = new Map<string, NamespaceHave>();
    for (const ref of insides) {
      const key = sandboxKey(ref);
      if (seen.has(key)) continue;
      const have = ref.kind === "host" ? underlay : places.inSandbox(ref, lookAtNamespace);
      if (have !== undefined) seen.set(key, have);
    }
    this.#watch(underlay, networks);
    return { sandboxes, networks, insides: seen, underlay };
  }

  async perform(step: Step): Promise<void> {
    this.#mustBeOpen();
    try {
      this.#do(step);
    } catch (error) {
      if (error instanceof Fault) throw error;
      const fault = new Fault("STEP_FAILED", { step: step.kind }, error);
      fault.message = `Could not ${describe(step)}: ${messageOf(error)}`;
      throw fault;
    }
    await setImmediate();
  }

  follow(listener: () => void): Unsubscribe {
    return this.#changed.subscribe(listener);
  }

  underlay(): Underlay {
    return lookAtNamespace(this.#places.underlay.socket);
  }

  dataPortProblem(local: Ip, port: number): string | undefined {
    const probe = { vni: PROBE_VNI, local, port, mtuBytes: PROBE_MTU_BYTES, fresh: true };
    return dataPortProblem(this.#places, probe);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#timer);
    this.#places.close();
    closeSync(this.#epoll);
  }

  #do(step: Step): void {
    const places = this.#places;
    switch (step.kind) {
      case "make-sandbox":
        makeSandbox(places, step.id);
        break;
      case "remove-sandbox":
        removeSandbox(places, step.file);
        break;
      case "make-network":
        makeNetwork(places, step);
        break;
      case "make-vxlan":
        makeVxlan(places, step);
        break;
      case "put-rows":
        putRows(places, step);
        break;
      case "drop-rows":
        dropRows(places, step);
        break;
      case "make-endpoint":
        makeEndpoint(places, step);
        break;
      case "remove-endpoint":
        removeEndpoint(places, step.vni, step.port);
        break;
      case "remove-vxlan":
        removeVxlan(places, step.vni);
        break;
      case "remove-network":
        removeNetwork(places, step.vni);
        break;
      default:
        unreachable(step);
    }
  }

  #readEvents(): void {
    if (epollAny(this.#epoll) && this.#places.drain()) this.#changed.publish();
  }

  #watch(underlay: NamespaceHave, networks: ReadonlyMap<number, NetworkHave>): void {
    const vteps = new Set<string>();
    for (const { links } of networks.values()) {
      for (const { vxlan } of links.values()) if (vxlan !== undefined) vteps.add(vxlan.local);
    }
    const watched = new Set<number>();
    for (const { ifindex, alias } of underlay.links)
      if (alias.startsWith(ALIAS)) watched.add(ifindex);
    for (const { ifindex, prefix } of underlay.addresses) {
      if (vteps.has(prefix.slice(0, prefix.indexOf("/")))) watched.add(ifindex);
    }
    this.#places.watched = watched;
  }

  #mustBeOpen(): void {
    if (this.#closed) throw new Fault("KERNEL_CLOSED");
  }
}
