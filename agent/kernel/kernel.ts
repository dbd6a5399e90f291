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
  /** What was seen inside sandboxes, by their keys, where no step has touched it since. */
  #insides = new Map<string, NamespaceHave>();
  readonly #timer: NodeJS.Timeout;
  #closed = false;

  constructor({ runDir }: LinuxKernelOptions) {
    this.#places = new Places(runDir, (events) => epollAdd(this.#epoll, events.fd));
    this.#timer = setInterval(() => this.#readEvents(), EVENTS_EVERY_MS);
    this.#timer.unref();
  }

  async dump(insides: readonly SandboxRef[], trust = false): Promise<HostHave> {
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
    const remembered = trust ? this.#insides : new Map<string, NamespaceHave>();
    const seen = new Map<string, NamespaceHave>();
    this.#insides = seen;
    for (const ref of insides) {
      const key = sandboxKey(ref);
      if (ref.kind === "host") seen.set(key, underlay);
      if (seen.has(key)) continue;
      const known = remembered.get(key);
      const have = known ?? places.inSandbox(ref, lookAtNamespace);
      if (have !== undefined) seen.set(key, have);
      if (known !== undefined) continue;
      await setImmediate();
      this.#mustBeOpen();
    }
    this.#watch(underlay, networks);
    return { sandboxes, networks, insides: seen, underlay };
  }

  inside(ref: SandboxRef): NamespaceHave | undefined {
    this.#mustBeOpen();
    return ref.kind === "host" ? this.underlay() : this.#places.inSandbox(ref, lookAtNamespace);
  }

  async perform(step: Step): Promise<void> {
    this.#mustBeOpen();
    this.#forget(step);
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

  /** What a step may change inside sandboxes is not known any more. */
  #forget(step: Step): void {
    switch (step.kind) {
      case "make-endpoint":
        this.#insides.delete(sandboxKey(step.endpoint.sandbox));
        break;
      case "make-sandbox":
        this.#insides.delete(sandboxKey({ kind: "own", id: step.id }));
        break;
      case "remove-sandbox":
      case "remove-endpoint":
      case "remove-network":
        // Which sandboxes had the other ends is not told.
        this.#insides.clear();
        break;
      case "make-network":
      case "make-vxlan":
      case "remove-vxlan":
      case "put-rows":
      case "drop-rows":
        break;
      default:
        unreachable(step);
    }
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
