// What clients of a swarm, simulated or of real processes, say and hear, as registers: a name of a network, the label of
// a node or of a config. Every list is a read of each of them at the same moment, and so a read of each.
import type { Model, Operation } from "../linearizable.js";

export type Asked =
  | { readonly kind: "create" }
  | { readonly kind: "remove"; readonly id: string }
  | { readonly kind: "set"; readonly value: string }
  /** Names the version that had `from`; values are written once, so that is the same. */
  | { readonly kind: "swap"; readonly from: string; readonly value: string }
  | { readonly kind: "read" };
/** Of a create the id, of a read what it saw ("": nothing), of the others whether it was done. */
export type Answered =
  | { readonly kind: "done"; readonly value: string }
  /** There is one already; of a swap: there is another. */
  | { readonly kind: "exists" }
  /** There is none of this id. */
  | { readonly kind: "absent" };

export type Call = Operation<Asked, Answered>;

/** The state: what is there ("": nothing; "?": something that nobody was told the id of). */
export const REGISTER: Model<string, Asked, Answered> = {
  initial: () => "",
  nameOf: (state) => state,
  step: (state, asked, answered) => {
    switch (asked.kind) {
      case "set":
        return [asked.value];
      case "swap":
        if (answered?.kind === "exists") return state === asked.from ? [] : [state];
        return state === asked.from ? [asked.value] : [];
      case "read":
        return seen(state, answered?.kind === "done" ? answered.value : undefined);
      case "create":
        if (answered === undefined) return state === "" ? [UNTOLD] : [state];
        if (answered.kind === "exists") return state === "" ? [] : [state];
        return state === "" && answered.kind === "done" ? [answered.value] : [];
      case "remove":
        return removed(state, asked.id, answered);
    }
  },
};

const UNTOLD = "?";

function seen(state: string, value: string | undefined): readonly string[] {
  if (value === undefined || value === state) return [state];
  // Whoever sees it learns its id.
  return state === UNTOLD && value !== "" ? [value] : [];
}

function removed(state: string, id: string, answered: Answered | undefined): readonly string[] {
  const isThere = state === id || state === UNTOLD;
  if (answered === undefined) return isThere ? ["", state] : [state];
  // One that is in use is not removed.
  if (answered.kind === "exists") return isThere ? [id] : [];
  // Another may have removed it: a call that was repeated finds nothing, and what it was for is done.
  if (answered.kind === "done") return isThere ? [""] : [state];
  return state === id ? [] : [state];
}
