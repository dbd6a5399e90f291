import { expect, test } from "vitest";
import { lossWords } from "./quorum-loss.js";

const DOCKERS = "can't remove member from the raft: this would result in a loss of quorum: ";
const cases = [
  // Of three one is away: only that one may go.
  {
    count: { managers: 3, reachable: 2, left: 2, leftReachable: 1 },
    says: "3 managers, 2 reachable; without h2 2 remain, both must answer, and 1 does",
  },
  { count: { managers: 3, reachable: 2, left: 2, leftReachable: 2 }, says: undefined },
  { count: { managers: 3, reachable: 3, left: 2, leftReachable: 2 }, says: undefined },
  // Of two the other one may go, when it is away or not; this one only while the other answers.
  { count: { managers: 2, reachable: 1, left: 1, leftReachable: 1 }, says: undefined },
  {
    count: { managers: 2, reachable: 1, left: 1, leftReachable: 0 },
    says: "2 managers, 1 reachable; without h2 1 remains, it must answer, and does not",
  },
  {
    count: { managers: 5, reachable: 3, left: 4, leftReachable: 2 },
    says: "5 managers, 3 reachable; without h2 4 remain, 3 of them must answer, and 2 do",
  },
  {
    count: { managers: 1, reachable: 1, left: 0, leftReachable: 0 },
    says: "1 manager, 1 reachable; without h2 nobody remains",
  },
];
test.each(cases)("$count.managers managers: $says", ({ count, says }) => {
  expect(lossWords(count, "h2")).toBe(says && `${DOCKERS}${says}`);
});
