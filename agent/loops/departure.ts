// The first half of a trace, on the node that the flow leaves from: what name, rules, routes and rows make of it, each
// as the kernel has it, and then a real probe.
import { formatIp, type Ip, parseIp } from "../../common/address.js";
import { Refused, refuse } from "../../common/fault.js";
import type { DepartureInquiry, InquiryPart } from "../../proto/gen/control.js";
import { EndpointKind } from "../../proto/gen/types.js";
import { probe } from "./departure-probe.js";
import { tableSteps } from "./departure-route.js";
import {
  addressesOf,
  doubt,
  HOST,
  NOTHING_HELD,
  pass,
  stop,
  type TraceTools,
  told,
  type Way,
  waitOf,
} from "./trace-steps.js";
import { balanceOf } from "./trace-tables.js";

// RFC 1035 section 4.1.1.
const NXDOMAIN = 3;

export async function* depart(
  tools: TraceTools,
  asked: DepartureInquiry,
  signal: AbortSignal,
): AsyncGenerator<InquiryPart["part"]> {
  const held = tools.member()?.held.current ?? NOTHING_HELD;
  const from = held.endpoints.find(({ id }) => id === asked.endpointId);
  const network = held.networks.find(({ id }) => id === from?.networkId);
  if (asked.endpointId !== "" && (from === undefined || network === undefined)) {
    throw new Refused(refuse("not-found", "this node was not told of the endpoint"));
  }
  const place = from && tools.placeOf(from.id);
  if (from !== undefined && place === undefined) {
    yield told(
      stop("sandbox", `Nothing on ${tools.hostname} is ${from.name}: its sandbox is gone.`),
    );
    return;
  }
  if (tools.watcher.inside(place?.sandbox ?? HOST) === undefined) {
    yield told(stop("sandbox", `The sandbox of ${from?.name ?? tools.hostname} does not stand.`));
    return;
  }
  const way: Way = { held, from, network, place };
  const to = yield* destination(tools, way, asked, signal);
  if (to === undefined) return;
  const targets = yield* balance(tools, way, to);
  if (targets === undefined) return;
  const [first] = targets;
  if (first !== undefined) yield told(...tableSteps(tools, way, first));
  yield* probe(tools, way, asked, to, targets, signal);
}

// ---- Name → address

async function* destination(
  { watcher }: TraceTools,
  { from, place }: Way,
  { name, address }: DepartureInquiry,
  signal: AbortSignal,
): AsyncGenerator<InquiryPart["part"], Ip | undefined> {
  const given = parseIp(address);
  if (name === "") {
    if (given === undefined) throw new Refused(refuse("invalid-argument", "there is no address"));
    return given;
  }
  const isOwn = place?.sandbox.kind === "own";
  const soon = AbortSignal.any([signal, AbortSignal.timeout(waitOf(0))]);
  const found = isOwn ? await watcher.lookUp(place.sandbox, name, soon) : undefined;
  if (found === undefined) {
    if (given !== undefined) {
      const why = isOwn ? "does not answer" : "is not in this namespace";
      const what = `The resolver 127.0.0.11 ${why}; ${name} is taken as ${address}.`;
      yield told(isOwn ? doubt("name", what) : pass("name", what));
      return given;
    }
    const what = isOwn
      ? "The resolver 127.0.0.11 in the sandbox does not answer."
      : `${name} is not known, and there is no resolver of Skein's in this namespace.`;
    yield told(stop("name", what));
    return undefined;
  }
  const families = new Set(from === undefined ? [4, 6] : addressesOf(from).map((ip) => ip.family));
  const addresses = found.addresses.flatMap((each) => parseIp(each) ?? []);
  const chosen = addresses.find(({ family }) => families.has(family));
  if (chosen === undefined) {
    const what =
      found.code === NXDOMAIN
        ? `The resolver says that there is no name ${name}.`
        : `The resolver has no address for ${name} (code ${found.code}).`;
    yield told(stop("name", what, { name }));
    return undefined;
  }
  const all = found.addresses.join(", ");
  yield told(pass("name", `The resolver says that ${name} is ${all}.`, { name, addresses: all }));
  return chosen;
}

// ---- VIP → backends

async function* balance(
  { watcher }: TraceTools,
  { held, network, place }: Way,
  to: Ip,
): AsyncGenerator<InquiryPart["part"], readonly string[] | undefined> {
  const address = formatIp(to);
  const vip = held.endpoints.find(
    (each) =>
      each.kind === EndpointKind.VIP && addressesOf(each).some((ip) => formatIp(ip) === address),
  );
  const tables = place === undefined ? [] : (watcher.tables(place.sandbox) ?? []);
  const balanced = balanceOf(tables, to);
  const service = vip?.name ?? "a service";
  switch (balanced.kind) {
    case "refused": {
      const what = `${address} is the VIP of ${service}, which has no task that serves: the sandbox refuses it.`;
      yield told(stop("balance", what, { vip: address }));
      return [];
    }
    case "backends": {
      const { addresses, keeps } = balanced;
      const backends = addresses.join(", ");
      const how = keeps
        ? `this sandbox keeps to ${backends}`
        : `a new flow goes to ${addresses.length === 1 ? "" : "one of "}${backends}`;
      const what = `${address} is the VIP of ${service}; by the sandbox's rules ${how}.`;
      yield told(pass("balance", what, { vip: address, backends }));
      return addresses;
    }
    case "direct":
      if (vip !== undefined && vip.networkId === network?.id) {
        const what = `${address} is the VIP of ${service}, but no rule in the sandbox knows it.`;
        yield told(stop("balance", what, { vip: address }));
        return [];
      }
      return [address];
  }
}
