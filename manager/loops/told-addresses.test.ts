import { afterEach, beforeEach, expect, test } from "vitest";
import { Fault, type Refusal, refuse } from "../../common/fault.js";
import type { Leader } from "./leadership.js";
import { ToldAddresses } from "./told-addresses.js";

let leader: Leader;
let answers: (Refusal | Error | Record<string, never>)[];
let asked: string[];
let told: ToldAddresses;
let stop: AbortController;
let running: Promise<void>;
/** Lets the loop look once more. */
let wake: () => void;

beforeEach(() => {
  leader = { kind: "none" };
  answers = [];
  asked = [];
  stop = new AbortController();
  wake = () => {};
  const changed = () =>
    new Promise<void>((resolve) => {
      wake = resolve;
    });
  const setAddr = async ({ nodeId, addr }: { nodeId: string; addr: string }) => {
    asked.push(`${nodeId} ${addr}`);
    const answer = answers.shift() ?? {};
    if (answer instanceof Error) throw answer;
    return answer;
  };
  told = new ToldAddresses({ setAddr }, { leader: () => leader, changed });
  running = told.run(stop.signal);
});
afterEach(async () => {
  stop.abort();
  wake();
  await running;
});

async function look(): Promise<void> {
  wake();
  await new Promise((resolve) => setImmediate(resolve));
}

test("what was said while nobody led is written down by whoever leads then, once", async () => {
  told.note("n3", "192.0.2.3:2377");
  await look();
  expect(asked).toEqual([]);
  leader = { kind: "other", addr: "192.0.2.2:2377" };
  await look();
  await look();
  expect(asked).toEqual(["n3 192.0.2.3:2377"]);
});

test("a leader that is gone before it has answered: the next one is asked", async () => {
  answers = [new Fault("RPC_UNREACHABLE", {}), refuse("unavailable", "nobody leads")];
  told.note("n3", "192.0.2.3:2377");
  leader = { kind: "self" };
  for (let i = 0; i < 4; i++) await look();
  expect(asked).toHaveLength(3);
});

test("of one that is no manager any more nobody is asked again", async () => {
  answers = [refuse("not-found", "node n3 is not a manager")];
  told.note("n3", "192.0.2.3:2377");
  leader = { kind: "self" };
  for (let i = 0; i < 3; i++) await look();
  expect(asked).toHaveLength(1);
});
