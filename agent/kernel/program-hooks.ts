// The two ways to have a program at a device's ingress: tcx links (kernels since 6.6), pinned, and filters of the clsact
// qdisc before that. Either stays when the agent ends, and goes with its device.
import { closeSync, readdirSync, unlinkSync } from "node:fs";
import { EEXIST } from "../../common/errno.js";
import {
  decodeBpfFilter,
  deleteBpfFilter,
  dumpBpfFilters,
  newClsact,
  putBpfFilter,
} from "../netlink/traffic-control.js";
import { FAST } from "../reconcile/acceleration.js";
import { isPort } from "../reconcile/names.js";
import { createTcxLink, detachLink, linkInfo, pin, pinned, updateLink } from "./bpf-call.js";
import { NetlinkError, type NetlinkSocket } from "./netlink-socket.js";

/** A device where one of our programs may be. */
export interface HookDevice {
  readonly key: string;
  readonly ifindex: number;
  readonly socket: NetlinkSocket;
}

export interface Attached {
  readonly ifindex: number;
  readonly programId: number;
}

export interface Hooks {
  /** By key; `devices` are those that stand. */
  look(devices: readonly HookDevice[]): Map<string, Attached>;
  /** Whether somebody has changed what `look` last found and `attach` made since, if no event tells of it. */
  changed(): boolean;
  /** In the place of what is there with this key; the calling thread is in the device's namespace. */
  attach(device: HookDevice, programFd: number): void;
  /** `device` undefined: it is gone. Not being there is no error. */
  detach(key: string, device: HookDevice | undefined): void;
  /** What is attached stays so. */
  close(): void;
}

interface OpenLink {
  readonly fd: number;
  /** As last looked at, or made. */
  readonly attached: Attached;
}

// The program of a link that has lost its name: none has this id, so it is not the one that is wanted.
const NO_PROGRAM = 0;

/**
 * Nothing tells of a tcx link that somebody detaches, but the link itself, to whoever has it open. So each is kept open;
 * that also keeps it attached when its name is taken away, until `attach` gives it the name again.
 */
export class TcxHooks implements Hooks {
  readonly #links = new Map<string, OpenLink>();

  constructor(private readonly folder: string) {}

  look(): Map<string, Attached> {
    const named = new Set(readdirSync(this.folder));
    for (const key of named) {
      const fd = pinned(this.#path(key));
      if (fd !== undefined) this.#keep(key, fd);
    }
    const found = new Map<string, Attached>();
    for (const [key, { attached }] of this.#links)
      found.set(key, named.has(key) ? attached : { ...attached, programId: NO_PROGRAM });
    return found;
  }

  changed(): boolean {
    for (const { fd, attached } of this.#links.values()) {
      const { ifindex, programId } = linkInfo(fd);
      if (ifindex !== attached.ifindex || programId !== attached.programId) return true;
    }
    return false;
  }

  attach({ key, ifindex }: HookDevice, programFd: number): void {
    const path = this.#path(key);
    const named = pinned(path);
    if (named !== undefined) this.#keep(key, named);
    const old = this.#links.get(key);
    if (old !== undefined && linkInfo(old.fd).ifindex === ifindex) {
      updateLink(old.fd, programFd);
      if (named === undefined) pin(old.fd, path);
      this.#keep(key, old.fd);
      return;
    }
    if (named !== undefined) unlinkSync(path);
    const link = createTcxLink(programFd, ifindex);
    this.#keep(key, link);
    pin(link, path);
  }

  detach(key: string): void {
    const path = this.#path(key);
    const named = pinned(path);
    if (named !== undefined) this.#keep(key, named);
    const link = this.#links.get(key);
    if (link === undefined) return;
    if (linkInfo(link.fd).ifindex !== 0) detachLink(link.fd);
    closeSync(link.fd);
    this.#links.delete(key);
    if (named !== undefined) unlinkSync(path);
  }

  close(): void {
    for (const { fd } of this.#links.values()) closeSync(fd);
    this.#links.clear();
  }

  /** As it is now, in the place of what was open with this key. */
  #keep(key: string, fd: number): void {
    const old = this.#links.get(key);
    this.#links.set(key, { fd, attached: linkInfo(fd) });
    if (old !== undefined && old.fd !== fd) closeSync(old.fd);
  }

  #path(key: string): string {
    return `${this.folder}/${key}`;
  }
}

// Our filters' name, and what tells two agents' filters on one device apart.
const NAME = "skein";

export class ClsactHooks implements Hooks {
  readonly #name: string;
  constructor(tag: string) {
    this.#name = `${NAME}-${tag}`;
  }

  look(devices: readonly HookDevice[]): Map<string, Attached> {
    const found = new Map<string, Attached>();
    for (const { key, ifindex, socket } of devices) {
      const filters = socket.dump((writer) => dumpBpfFilters(writer, ifindex), decodeBpfFilter);
      const ours = filters.find(({ name }) => name === this.#name);
      if (ours !== undefined) found.set(key, { ifindex, programId: ours.programId });
    }
    return found;
  }

  attach({ ifindex, socket }: HookDevice, programFd: number): void {
    try {
      socket.request((writer) => newClsact(writer, ifindex));
    } catch (error) {
      if (!(error instanceof NetlinkError && error.errno === EEXIST)) throw error;
    }
    socket.request((writer) => putBpfFilter(writer, ifindex, { name: this.#name, programFd }));
  }

  /** The kernel tells everybody of filters that come and go (RTNLGRP_TC). */
  changed(): boolean {
    return false;
  }

  /** The qdisc stays: by now it may be another's too, and without filters it costs nothing. */
  detach(_key: string, device: HookDevice | undefined): void {
    if (device === undefined || !this.look([device]).has(device.key)) return;
    device.socket.request((writer) => deleteBpfFilter(writer, device.ifindex));
  }

  close(): void {}
}

/** Whether a device of a network's namespace is one that programs of ours sit at. */
export function isHooked(name: string): boolean {
  return name === FAST || isPort(name);
}
