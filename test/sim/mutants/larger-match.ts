// A follower acknowledges what is only on its way to it: its answer names the last entry that it was ever sent.
import { MessageKind } from "../../../proto/gen/raft.js";
import { rewriteMessages } from "./messages.js";
import type { Mutant } from "./mutant.js";

export const largerMatch: Mutant = {
  name: "larger-match",
  found: /index \d+ is committed, and on \d of \d, \d of \d disks/,
  seeds: 30,
  wires: (wires) => {
    const sent = new Map<string, number>();
    rewriteMessages(wires, (message) => {
      const { kind, term, from, to, entries, reject } = message;
      const last = entries[entries.length - 1]?.index;
      if (kind === MessageKind.APPEND && last !== undefined)
        sent.set(`${term} ${from} ${to}`, last);
      if (kind !== MessageKind.APPEND_RESPONSE || reject) return message;
      const index = Math.max(message.index, sent.get(`${term} ${to} ${from}`) ?? 0);
      return { ...message, index };
    });
  },
};
