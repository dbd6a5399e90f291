// Names for containers that were given none: an adjective and a thing met on the way of a packet.
import type { Random } from "../../common/random.js";

const ADJECTIVES = [
  ...["amber", "brisk", "calm", "dapper", "eager", "fleet", "gentle", "hardy", "idle", "jolly"],
  ...["keen", "lively", "mellow", "nimble", "orderly", "patient", "quiet", "rapid", "steady"],
  ...["tidy", "upright", "vivid", "wary", "young", "zesty", "bold", "clever", "frank", "loyal"],
  ...["merry", "noble", "plain"],
];
const THINGS = [
  ...["anchor", "beacon", "bridge", "cable", "channel", "datagram", "ether", "frame", "gateway"],
  ...["hop", "knot", "lane", "link", "loom", "mesh", "needle", "octet", "packet", "port", "relay"],
  ...["route", "shuttle", "signal", "socket", "spindle", "spool", "strand", "switch", "thread"],
  ...["tunnel", "weaver", "yarn"],
];
// Choice: after so many clashes a number makes it unique.
const ATTEMPTS = 8;

export function newName(random: Random, taken: (name: string) => boolean): string {
  const pick = (words: readonly string[]) => words[random.below(words.length)] ?? "plain";
  const draw = () => `${pick(ADJECTIVES)}_${pick(THINGS)}`;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const name = draw();
    if (!taken(name)) return name;
  }
  const base = draw();
  let number = 1;
  while (taken(`${base}${number}`)) number++;
  return `${base}${number}`;
}
