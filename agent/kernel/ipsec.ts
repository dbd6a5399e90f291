// The IPsec policies of the agent's own namespace, as the kernel has them; nothing of them is ever changed.
import { EPROTONOSUPPORT } from "../../common/errno.js";
import { SystemError } from "../../common/libc.js";
import { decodePolicy, dumpPolicies, NETLINK_XFRM, XFRMNLGRP_POLICY } from "../netlink/xfrm.js";
import type { IpsecPolicy } from "../overlay/ipsec.js";
import { NetlinkEvents, NetlinkSocket } from "./netlink-socket.js";

interface Open {
  readonly socket: NetlinkSocket;
  readonly events: NetlinkEvents;
}

export class IpsecPolicies {
  /** Undefined: a kernel without IPsec, or without a way to ask for it (CONFIG_XFRM_USER). */
  readonly #open: Open | undefined;
  #found: readonly IpsecPolicy[] | undefined;

  constructor(opened: (events: NetlinkEvents) => void) {
    this.#open = open();
    if (this.#open !== undefined) opened(this.#open.events);
  }

  look(): readonly IpsecPolicy[] {
    this.drain();
    this.#found ??= this.#open?.socket.dump(dumpPolicies, decodePolicy) ?? [];
    return this.#found;
  }

  /** Forgets every event so far; whether there was any. */
  drain(): boolean {
    if (this.#open?.events.drain() !== true) return false;
    this.#found = undefined;
    return true;
  }

  close(): void {
    this.#open?.events.close();
    this.#open?.socket.close();
  }
}

function open(): Open | undefined {
  try {
    const socket = new NetlinkSocket([], NETLINK_XFRM);
    return { socket, events: new NetlinkEvents([XFRMNLGRP_POLICY], () => true, NETLINK_XFRM) };
  } catch (error) {
    if (error instanceof SystemError && error.errno === EPROTONOSUPPORT) return undefined;
    throw error;
  }
}
