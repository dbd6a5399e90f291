// `--port` of a policy: "80", "80/tcp", "8000-8010/udp", "53/any", and a protocol alone for all of it.
import { WrongValue } from "../args/fields.js";

/** The API's port of a policy; 0 is every port of the protocol. */
export interface PolicyPort {
  readonly Protocol: string;
  readonly Port: number;
}

const PROTOCOLS = ["tcp", "udp", "sctp", "any"];
const PORT_MAX = 65_535;
// As many as the swarm takes in one policy (manager/control/policy.ts).
const PORTS_MAX = 64;

export function parsePolicyPorts(text: string): readonly PolicyPort[] {
  const word = text.toLowerCase();
  if (PROTOCOLS.includes(word)) return [{ Protocol: word, Port: 0 }];
  const match = /^(\d{1,5})(?:-(\d{1,5}))?(?:\/([a-z]+))?$/.exec(word);
  if (match === null)
    throw new WrongValue(`invalid port "${text}": write 80, 80/tcp, 8000-8010/udp, or udp`);
  const [, first = "", last = first, protocol = "tcp"] = match;
  if (!PROTOCOLS.includes(protocol)) {
    throw new WrongValue(`invalid protocol "${protocol}": it is one of ${PROTOCOLS.join(", ")}`);
  }
  const [from, to] = [Number(first), Number(last)];
  if (from < 1 || to > PORT_MAX || to < from) {
    throw new WrongValue(`invalid port "${text}": ports are 1 to ${PORT_MAX}`);
  }
  if (to - from >= PORTS_MAX) {
    throw new WrongValue(`invalid port "${text}": a policy names at most ${PORTS_MAX} ports`);
  }
  return Array.from({ length: to - from + 1 }, (_, i) => ({ Protocol: protocol, Port: from + i }));
}

/** "80/tcp", "udp" for all of it, "all" for everything. */
export function portText({ Protocol, Port }: PolicyPort): string {
  if (Port === 0) return Protocol === "any" ? "all" : Protocol;
  return `${Port}/${Protocol}`;
}

export function allows(ports: readonly PolicyPort[], asked: PolicyPort): boolean {
  return ports.length === 0 || ports.some((each) => covers(each, asked));
}

function covers(have: PolicyPort, asked: PolicyPort): boolean {
  const sameProtocol = have.Protocol === "any" || have.Protocol === asked.Protocol;
  return sameProtocol && (have.Port === 0 || have.Port === asked.Port);
}
