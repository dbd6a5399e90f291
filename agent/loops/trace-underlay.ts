// Steps of a trace on the machine's own side: how the outer packets find the other node.
import { formatIp, type Ip } from "../../common/address.js";
import type { TraceStep } from "../../proto/gen/control.js";
import { NUD_FAILED } from "../netlink/constants.js";
import { doubt, HOST, pass, stop, type TraceTools } from "./trace-steps.js";

export function underlaySteps(
  { watcher, member }: TraceTools,
  vtep: Ip,
  node: string,
): TraceStep[] {
  const address = formatIp(vtep);
  const route = watcher.route(HOST, vtep);
  if (route === undefined || route.kind === "none") {
    const why = route?.why ?? "the kernel did not answer";
    return [stop("underlay", `This machine has no route to ${node} (${address}): ${why}.`)];
  }
  const { device, gateway } = route;
  const via = gateway === undefined ? "" : ` by gateway ${gateway}`;
  const own = member()?.record.dataPathAddr ?? "";
  const facts = { device, gateway: gateway ?? "", source: own, vtep: address };
  const steps: TraceStep[] = [];
  const what = `Outer packets go to ${node} (${address}) by ${device}${via}, from ${own}.`;
  steps.push(pass("underlay", what, facts));
  const has = watcher.inside(HOST)?.addresses.some(({ prefix }) => prefix.split("/")[0] === own);
  if (has === false) {
    steps.push(stop("underlay", `No interface of this machine has its data path address ${own}.`));
  }
  const hop = gateway ?? address;
  const row = watcher.neighbours(HOST)?.find((each) => each.ip === hop && each.device === device);
  if (row !== undefined && row.state & NUD_FAILED) {
    const what = `The next hop ${hop} does not answer on ${device}: its MAC address is not known.`;
    steps.push(doubt("underlay", what, { hop }));
  }
  return steps;
}
