// Tries what the accelerated data path needs of this machine's kernel, and leaves no trace of it.
import { closeSync } from "node:fs";
import { release } from "node:os";
import { EEXIST, EINVAL } from "../../common/errno.js";
import { Fault, messageOf } from "../../common/fault.js";
import { SystemError } from "../../common/libc.js";
import { linkProgram } from "../bpf/link.js";
import { whyUnfit } from "../bpf/unfit.js";
import { deleteClsact, newClsact } from "../netlink/traffic-control.js";
import { createMap, createTcxLink, loadProgram } from "./bpf-call.js";
import { NetlinkError, type NetlinkSocket } from "./netlink-socket.js";
import { mustLink } from "./network-steps.js";
import { type BuiltObject, ensureMounted, isAnythingThere, removeAll } from "./program-files.js";

export type HookKind = "tcx" | "clsact";
/** What is here, or a sentence that says why the programs cannot be used. */
export type Probed = { readonly hooks: HookKind } | { readonly problem: string };

const LEAD = "The accelerated data path does not work on this machine";

/** Never throws: an agent that cannot have this path has another. */
export function probe(folder: string, object: BuiltObject, underlay: NetlinkSocket): Probed {
  const probed = tryAll(folder, object, underlay);
  leave(folder);
  return probed;
}

/** Trying it mounted what nobody may ever use. */
function leave(folder: string): void {
  try {
    if (!isAnythingThere(folder)) removeAll(folder);
  } catch {
    // An empty place is no harm, and whoever may not make it may not remove it.
  }
}

function tryAll(folder: string, object: BuiltObject, underlay: NetlinkSocket): Probed {
  if (process.arch !== "x64" && process.arch !== "arm64")
    return { problem: `${LEAD}: it is for x86-64 and arm64.` };
  const open: number[] = [];
  const maps = new Map<string, number>();
  try {
    ensureMounted(folder);
    for (const shape of object.maps) {
      const fd = createMap({ ...shape, entriesMax: 1 });
      open.push(fd);
      maps.set(shape.name, fd);
    }
    let harmless = -1;
    for (const program of object.programs) {
      const code = linkProgram(program, maps, new Map([["own_vni", 0]]));
      if (typeof code === "string") return { problem: `${LEAD}: ${code}` };
      const fd = loadProgram("skein_probe", code, object.license);
      open.push(fd);
      // It lets everything pass that is not VXLAN of a network that is here.
      if (program.name === "underlay") harmless = fd;
    }
    return hooksOf(harmless, underlay);
  } catch (error) {
    return { problem: `${LEAD}: ${reasonOf(error)}.` };
  } finally {
    for (const fd of open) closeSync(fd);
  }
}

function reasonOf(error: unknown): string {
  const said = messageOf(error);
  const cause = error instanceof Fault ? error.cause : error;
  if (!(cause instanceof SystemError)) return said;
  const verifier = error instanceof Fault ? String(error.data["verifier"] ?? "") : "";
  return whyUnfit({ call: cause.call, errno: cause.errno, said, verifier }, release());
}

function hooksOf(programFd: number, underlay: NetlinkSocket): Probed {
  const { ifindex } = mustLink(underlay, "lo");
  try {
    closeSync(createTcxLink(programFd, ifindex));
    return { hooks: "tcx" };
  } catch (error) {
    // Before 6.6 nobody knows what is asked for.
    if (!(error instanceof SystemError && error.errno === EINVAL)) throw error;
  }
  try {
    underlay.request((writer) => newClsact(writer, ifindex));
    underlay.request((writer) => deleteClsact(writer, ifindex));
  } catch (error) {
    if (error instanceof NetlinkError && error.errno === EEXIST) return { hooks: "clsact" };
    const why = messageOf(error);
    return { problem: `${LEAD}: its kernel has neither tcx nor the clsact qdisc (${why}).` };
  }
  return { hooks: "clsact" };
}
