// Each fifth change that makes an endpoint is acknowledged, and empty in the log.
import { Batch, type Transaction } from "../../../proto/gen/store.js";
import type { Mutant } from "./mutant.js";

const LOST_EVERY = 5;

export const lostWrite: Mutant = {
  name: "lost-write",
  found: /endpoint \S+ was acknowledged, and n\d+ does not have it/,
  seeds: 30,
  member: ({ consensus }) => {
    const propose = consensus.propose.bind(consensus);
    let made = 0;
    consensus.propose = async (data, signal) => {
      const transactions = Batch.decode(data).transactions.map((whole) =>
        makesEndpoint(whole) && ++made % LOST_EVERY === 0 ? { ...whole, actions: [] } : whole,
      );
      return propose(Batch.encode({ transactions }).finish(), signal);
    };
  },
};

function makesEndpoint({ actions }: Transaction): boolean {
  return actions.some(
    ({ action }) => action?.$case === "create" && action.value.object?.$case === "endpoint",
  );
}
