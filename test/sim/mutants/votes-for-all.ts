// Whoever asks for a vote gets it, consent beforehand as well: a refusal arrives as a grant.
import { MessageKind } from "../../../proto/gen/raft.js";
import { rewriteMessages } from "./messages.js";
import type { Mutant } from "./mutant.js";

export const votesForAll: Mutant = {
  name: "votes-for-all",
  found: /term \d+ has two leaders/,
  seeds: 60,
  wires: (wires) => {
    /** What each was asked for last. */
    const asked = new Map<string, number>();
    rewriteMessages(wires, (message) => {
      const { kind, from, to, term } = message;
      if (kind === MessageKind.PRE_VOTE) asked.set(`${from} ${to}`, term);
      if (kind === MessageKind.VOTE_RESPONSE) return { ...message, reject: false };
      if (kind !== MessageKind.PRE_VOTE_RESPONSE) return message;
      return { ...message, reject: false, term: asked.get(`${to} ${from}`) ?? term };
    });
  },
};
