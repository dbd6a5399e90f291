// The names of one network: who has which, kept in step with the view of the network at the cost of what has
// changed in it. Several may have the same name; all of them are answered, as Docker does.
import { formatIp, type Ip, ipToBytes } from "../../common/address.js";
import { PortProtocol } from "../../proto/gen/service.js";
import type { Addresses, ReachNetwork, ReachService, Single } from "../reach/reach.js";
import { addressRr, pointerRr, type Rr, serviceRr } from "./reply.js";
import { nameBytes, nameKey } from "./wire.js";

/** What a name stands for. Records are made when somebody asks for them first. */
export interface Named {
  /** By the name of the service, or an alias of it: its VIP, or its backends if it has none. */
  readonly services: readonly ReachService[];
  /** As "tasks.NAME": its backends. */
  readonly tasks: readonly ReachService[];
  /** Of an address's reverse name: whose it is. */
  readonly pointers: readonly string[];
  /**
   * Of services, tasks, containers and attachments; of those whose hostname it is only if it is nobody's name,
   * for that is a weaker claim.
   */
  addresses(family: 4 | 6): readonly Rr[];
  reverse(): readonly Rr[];
  serviceRecords(port: string, protocol: string): readonly Rr[];
}

type Claim =
  | { readonly key: string; readonly slot: "services" | "tasks"; readonly value: ReachService }
  | { readonly key: string; readonly slot: "singles" | "hosts"; readonly value: Addresses }
  | { readonly key: string; readonly slot: "pointers"; readonly value: string };

class Entry implements Named {
  readonly #claims: Claim[] = [];
  // In fields of their own, since nearly every question is for one of these.
  #ipv4: readonly Rr[] | undefined;
  #ipv6: readonly Rr[] | undefined;

  constructor(private readonly suffix: string) {}

  add(claim: Claim): void {
    this.#claims.push(claim);
    this.#forget();
  }

  /** Whether anything is left. */
  remove(claim: Claim): boolean {
    const at = this.#claims.indexOf(claim);
    if (at >= 0) this.#claims.splice(at, 1);
    this.#forget();
    return this.#claims.length > 0;
  }

  get services(): readonly ReachService[] {
    return this.#claims.flatMap((each) => (each.slot === "services" ? each.value : []));
  }

  get tasks(): readonly ReachService[] {
    return this.#claims.flatMap((each) => (each.slot === "tasks" ? each.value : []));
  }

  get pointers(): readonly string[] {
    return this.#claims.flatMap((each) => (each.slot === "pointers" ? each.value : []));
  }

  addresses(family: 4 | 6): readonly Rr[] {
    if (family === 4) {
      this.#ipv4 ??= this.#records(({ ipv4 }) => ipv4);
      return this.#ipv4;
    }
    this.#ipv6 ??= this.#records(({ ipv6 }) => ipv6);
    return this.#ipv6;
  }

  reverse(): readonly Rr[] {
    // One is what who looks up an address expects.
    const [name = ""] = this.pointers;
    const target = nameBytes(`${name}${this.suffix}`) ?? nameBytes(name);
    return target === undefined ? [] : [pointerRr(target)];
  }

  serviceRecords(port: string, protocol: string): readonly Rr[] {
    return [
      ...this.services.flatMap((service) =>
        this.#srv(service, port, protocol, service.vip === undefined),
      ),
      ...this.tasks.flatMap((service) => this.#srv(service, port, protocol, true)),
    ];
  }

  #records(of: (addresses: Addresses) => Ip | undefined): readonly Rr[] {
    const found = new Map<string, Rr>();
    for (const each of this.#addressed()) {
      const ip = of(each);
      if (ip !== undefined) found.set(formatIp(ip), addressRr(ipToBytes(ip)));
    }
    return [...found.values()];
  }

  #forget(): void {
    this.#ipv4 = undefined;
    this.#ipv6 = undefined;
  }

  #addressed(): readonly Addresses[] {
    const found: Addresses[] = [];
    const hosts: Addresses[] = [];
    let hasName = false;
    for (const claim of this.#claims) {
      if (claim.slot === "services")
        found.push(...(claim.value.vip ? [claim.value.vip] : usable(claim.value)));
      else if (claim.slot === "tasks") found.push(...usable(claim.value));
      else if (claim.slot === "singles") found.push(claim.value);
      else if (claim.slot === "hosts") hosts.push(claim.value);
      if (claim.slot !== "hosts" && claim.slot !== "pointers") hasName = true;
    }
    return hasName ? found : hosts;
  }

  #srv(service: ReachService, port: string, protocol: string, single: boolean): readonly Rr[] {
    const ports = (service.row?.ports ?? []).filter(
      (each) =>
        PROTOCOLS[each.protocol] === protocol &&
        (String(each.targetPort) === port || each.name.toLowerCase() === port),
    );
    const numbers = new Set(ports.map(({ targetPort }) => targetPort));
    const targets = single ? usable(service).map(({ name }) => name) : [service.name];
    return [...numbers].flatMap((number) =>
      targets.flatMap((target) => {
        const bytes = nameBytes(`${target}${this.suffix}`) ?? nameBytes(target);
        return bytes === undefined ? [] : [serviceRr(number, bytes)];
      }),
    );
  }
}

const PROTOCOLS: Readonly<Record<number, string>> = {
  [PortProtocol.TCP]: "tcp",
  [PortProtocol.UDP]: "udp",
  [PortProtocol.SCTP]: "sctp",
};

function usable(service: ReachService) {
  return service.backends.filter((backend) => backend.usable);
}

export class NetworkNames {
  readonly #entries = new Map<string, Entry>();
  /** What each service or single has a claim on, by its id, and the object that it was made from. */
  readonly #claims = new Map<string, { readonly of: object; readonly claims: readonly Claim[] }>();
  #seen: ReachNetwork | undefined;
  #suffix = "";

  get(key: string): Named | undefined {
    return this.#entries.get(key);
  }

  /** Takes the view as it is now. What is the same object as before is not looked at again. */
  update(view: ReachNetwork): void {
    if (view === this.#seen) return;
    this.#seen = view;
    this.#suffix = `.${view.network.spec?.name ?? view.network.id}`;
    const gone = new Set(this.#claims.keys());
    for (const service of view.services) {
      gone.delete(service.id);
      this.#claim(service.id, service, () => claimsOfService(service));
    }
    for (const single of view.singles) {
      gone.delete(single.endpointId);
      this.#claim(single.endpointId, single, () => claimsOfSingle(single));
    }
    for (const id of gone) this.#withdraw(id);
  }

  #claim(id: string, of: object, make: () => readonly Claim[]): void {
    const had = this.#claims.get(id);
    if (had?.of === of) return;
    if (had !== undefined) this.#withdraw(id);
    const claims = make();
    this.#claims.set(id, { of, claims });
    for (const claim of claims) {
      let entry = this.#entries.get(claim.key);
      if (entry === undefined) {
        entry = new Entry(this.#suffix);
        this.#entries.set(claim.key, entry);
      }
      entry.add(claim);
    }
  }

  #withdraw(id: string): void {
    for (const claim of this.#claims.get(id)?.claims ?? []) {
      if (this.#entries.get(claim.key)?.remove(claim) === false) this.#entries.delete(claim.key);
    }
    this.#claims.delete(id);
  }
}

function claimsOfService(service: ReachService): readonly Claim[] {
  const claims: Claim[] = [];
  for (const name of new Set([service.name, ...service.aliases])) {
    const key = nameKey(name);
    if (key !== undefined) claims.push({ key, slot: "services", value: service });
    const tasksKey = nameKey(`tasks.${name}`);
    if (tasksKey !== undefined) claims.push({ key: tasksKey, slot: "tasks", value: service });
  }
  if (service.vip !== undefined) pushReverse(claims, service.vip, service.name);
  for (const backend of service.backends) pushSingle(claims, backend, []);
  return claims;
}

function claimsOfSingle(single: Single): readonly Claim[] {
  const claims: Claim[] = [];
  pushSingle(claims, single, single.aliases);
  return claims;
}

function pushSingle(claims: Claim[], single: Single, aliases: readonly string[]): void {
  for (const name of new Set([single.name, ...aliases])) {
    const key = nameKey(name);
    if (key !== undefined) claims.push({ key, slot: "singles", value: single });
  }
  const hostKey = nameKey(single.hostname);
  if (hostKey !== undefined) claims.push({ key: hostKey, slot: "hosts", value: single });
  pushReverse(claims, single, single.name);
}

function pushReverse(claims: Claim[], { ipv4, ipv6 }: Addresses, name: string): void {
  for (const ip of [ipv4, ipv6]) {
    const key = ip === undefined || name === "" ? undefined : nameKey(reverseName(ip));
    if (key !== undefined) claims.push({ key, slot: "pointers", value: name });
  }
}

/** RFC 1035 section 3.5, RFC 3596 section 2.5. */
function reverseName(ip: Ip): string {
  if (ip.family === 4) return `${formatIp(ip).split(".").reverse().join(".")}.in-addr.arpa`;
  const digits = ip.value.toString(16).padStart(32, "0");
  return `${[...digits].reverse().join(".")}.ip6.arpa`;
}
