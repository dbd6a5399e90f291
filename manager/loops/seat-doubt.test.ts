import { expect, test } from "vitest";
import { Fault, type Refusal, refuse } from "../../common/fault.js";
import { RaftHasSeatResponse } from "../../proto/gen/raft.js";
import { removedWords } from "../ca/barred.js";
import type { LeaderLink } from "../seams.js";
import { stillSeated } from "./seat-doubt.js";

type Answer = boolean | Refusal | Fault;

/** Asks three managers in turn, which answer this. */
function seated(...answers: readonly Answer[]): Promise<boolean | undefined> {
  const link = (addr: string) => {
    const hasSeat = async () => {
      const answer = answers[Number(addr)] ?? new Fault("RPC_UNREACHABLE", { addr });
      if (answer instanceof Fault) throw answer;
      return typeof answer === "boolean"
        ? RaftHasSeatResponse.fromPartial({ seated: answer })
        : answer;
    };
    return { membership: { hasSeat } } as unknown as LeaderLink;
  };
  const signal = new AbortController().signal;
  return stillSeated({ raftId: 1, generation: 0, addrs: ["0", "1", "2"], link, signal });
}

const away = new Fault("RPC_UNREACHABLE", {});
const removed = refuse("permission-denied", removedWords("me"));
// What is said to whose certificate is over, as to anybody without one.
const stranger = refuse("permission-denied", "a certificate of this swarm is necessary");

test.each<[string, readonly Answer[], boolean | undefined]>([
  ["the leader says that it is there", [true], true],
  ["the leader says that it is gone", [away, false], false],
  ["the node was removed", [away, removed], false],
  ["nobody answers", [], undefined],
  ["its certificate is over, and it has no other yet", [stranger, stranger, stranger], undefined],
  ["one lets it in again, and says so", [stranger, true], true],
])("of a seat: %s", async (_, answers, want) => {
  expect(await seated(...answers)).toBe(want);
});
