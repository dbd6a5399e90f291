// A VXLAN device speaks the family of its own address, so a swarm's nodes all have data path addresses of one.
import { parseIp } from "../../common/address.js";
import { type Refusal, refuse } from "../../common/fault.js";
import type { ChosenAddresses } from "../member/advertise.js";

interface Asked {
  /** What the person said; empty: it is left to us. */
  readonly wanted: string;
  readonly chosen: ChosenAddresses;
  /** Of another node; empty: there is none that says. */
  readonly others: string;
}

/** `chosen`, or with this machine's address towards the other nodes' where that one is of another family. */
export async function ofTheirFamily(
  { wanted, chosen, others }: Asked,
  sourceTowards: (host: string) => Promise<string | undefined>,
): Promise<ChosenAddresses | Refusal> {
  const [own, theirs] = [parseIp(chosen.dataPathAddr), parseIp(others)];
  if (own === undefined || theirs === undefined || own.family === theirs.family) return chosen;
  const source = wanted === "" ? await sourceTowards(others) : undefined;
  if (source !== undefined) return { ...chosen, dataPathAddr: source };
  const sentence = `this swarm's nodes have data path addresses of IPv${theirs.family} (${others}), and ${chosen.dataPathAddr} is none: name one of this machine's with --data-path-addr`;
  return refuse("failed-precondition", sentence);
}
