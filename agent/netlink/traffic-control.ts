// RTM_NEWQDISC, RTM_NEWTFILTER and their kin, as far as an eBPF program at a device's ingress needs them: the clsact
// qdisc, and filters of kind "bpf" that decide themselves (direct-action). For kernels that have no tcx, before 6.6.
//
//   0      1      2       4              8              12             16             20
//   +------+------+-------+--------------+--------------+--------------+--------------+-------------
//   |family| pad  | pad   | ifindex      | handle       | parent       | info         | attributes…   struct tcmsg
//   +------+------+-------+--------------+--------------+--------------+--------------+-------------
import { eachAttribute, readText, readU32 } from "./attribute.js";
import {
  CLSACT_HANDLE,
  CLSACT_INGRESS,
  ETH_P_ALL_BE,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_EXCL,
  RTM_DELQDISC,
  RTM_DELTFILTER,
  RTM_GETACTION,
  RTM_GETCHAIN,
  RTM_GETTFILTER,
  RTM_NEWACTION,
  RTM_NEWCHAIN,
  RTM_NEWQDISC,
  RTM_NEWTFILTER,
  TC_H_CLSACT,
  TCA_BPF_FD,
  TCA_BPF_FLAG_ACT_DIRECT,
  TCA_BPF_FLAGS,
  TCA_BPF_ID,
  TCA_BPF_NAME,
  TCA_KIND,
  TCA_OPTIONS,
} from "./constants.js";
import type { NetlinkMessage } from "./message.js";
import type { NetlinkWriter } from "./writer.js";

const TCMSG_BYTES = 20;
// Choice: late, so that what somebody else put there is asked first.
const PRIORITY = 0x534b;
const HANDLE = 1;

export interface BpfFilter {
  readonly ifindex: number;
  /** As whoever made it called it. */
  readonly name: string;
  readonly programId: number;
}

/** Whose traffic control a message is about; 0: no device's. undefined: it is about something else. */
export function deviceOfControl({ bytes, from, to, type }: NetlinkMessage): number | undefined {
  if (type >= RTM_NEWACTION && type <= RTM_GETACTION) return 0;
  const isOfDevice =
    (type >= RTM_NEWQDISC && type <= RTM_GETTFILTER) ||
    (type >= RTM_NEWCHAIN && type <= RTM_GETCHAIN);
  return isOfDevice && to - from >= TCMSG_BYTES ? readU32(bytes, from + 4, from + 8) : undefined;
}

/** undefined unless it is one filter of kind "bpf". */
export function decodeBpfFilter(message: NetlinkMessage): BpfFilter | undefined {
  const { bytes, from, to, type } = message;
  if (type !== RTM_NEWTFILTER || to - from < TCMSG_BYTES) return undefined;
  let kind = "";
  let name = "";
  let programId = 0;
  const whole = eachAttribute(bytes, from + TCMSG_BYTES, to, (attribute, start, end) => {
    if (attribute === TCA_KIND) kind = readText(bytes, start, end);
    else if (attribute === TCA_OPTIONS)
      eachAttribute(bytes, start, end, (option, first, last) => {
        if (option === TCA_BPF_NAME) name = readText(bytes, first, last);
        else if (option === TCA_BPF_ID) programId = readU32(bytes, first, last);
      });
  });
  // Each chain is told of by itself too, without a program.
  if (!whole || kind !== "bpf" || programId === 0) return undefined;
  return { ifindex: bytes.readInt32LE(from + 4), name, programId };
}

/** Fails with EEXIST if the device has one, which then serves as well. */
export function newClsact(writer: NetlinkWriter, ifindex: number): void {
  writer.message(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, () => {
    header(writer, ifindex, CLSACT_HANDLE, TC_H_CLSACT, 0);
    writer.attributeText(TCA_KIND, "clsact");
  });
}

export function deleteClsact(writer: NetlinkWriter, ifindex: number): void {
  writer.message(RTM_DELQDISC, 0, () => header(writer, ifindex, CLSACT_HANDLE, TC_H_CLSACT, 0));
}

/** At the ingress, in the place of what was there by this call before. */
export function putBpfFilter(
  writer: NetlinkWriter,
  ifindex: number,
  { name, programFd }: { readonly name: string; readonly programFd: number },
): void {
  writer.message(RTM_NEWTFILTER, NLM_F_CREATE, () => {
    header(writer, ifindex, HANDLE, CLSACT_INGRESS, PRIORITY * 0x10000 + ETH_P_ALL_BE);
    writer.attributeText(TCA_KIND, "bpf");
    writer.nest(TCA_OPTIONS, () => {
      writer.attributeU32(TCA_BPF_FD, programFd);
      writer.attributeText(TCA_BPF_NAME, name);
      writer.attributeU32(TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT);
    });
  });
}

export function deleteBpfFilter(writer: NetlinkWriter, ifindex: number): void {
  writer.message(RTM_DELTFILTER, 0, () => {
    header(writer, ifindex, HANDLE, CLSACT_INGRESS, PRIORITY * 0x10000 + ETH_P_ALL_BE);
    writer.attributeText(TCA_KIND, "bpf");
  });
}

export function dumpBpfFilters(writer: NetlinkWriter, ifindex: number): void {
  writer.message(RTM_GETTFILTER, NLM_F_DUMP, () => header(writer, ifindex, 0, CLSACT_INGRESS, 0));
}

function header(
  writer: NetlinkWriter,
  ifindex: number,
  handle: number,
  parent: number,
  info: number,
): void {
  writer.u32(0);
  writer.u32(ifindex);
  writer.u32(handle);
  writer.u32(parent);
  writer.u32(info);
}
