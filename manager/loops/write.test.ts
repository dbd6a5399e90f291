import { describe, expect, test } from "vitest";
import { systemClock } from "../../common/clock.js";
import { Fault, isRefusal, refuse } from "../../common/fault.js";
import { silentLogger } from "../../common/log.js";
import { Topic } from "../../common/watch.js";
import { Batch } from "../../proto/gen/store.js";
import { Cluster, Node } from "../../proto/gen/types.js";
import type { Consensus, RaftStatus } from "../seams.js";
import { type Outcomes, Store } from "../store/store.js";
import { type Request, Writer } from "./write.js";

const NODE = Node.fromPartial({ publicKeyDigest: Buffer.from([1]) });
const LEADER: RaftStatus = {
  raftId: 1,
  role: "leader",
  term: 1,
  leaderId: 1,
  commit: 0,
  applied: 0,
  members: [],
  ready: true,
};

/** A group of one that commits when it is told to, or fails as it is told to. */
class SlowConsensus implements Consensus<Outcomes> {
  readonly changed = new Topic<RaftStatus>();
  readonly proposed: { readonly data: Uint8Array; settle: (fault?: Fault) => void }[] = [];
  leading = true;
  #index = 0;

  constructor(private readonly store: Store) {}

  status(): RaftStatus {
    return this.leading ? LEADER : { ...LEADER, role: "follower", ready: false };
  }
  propose(data: Uint8Array): Promise<Outcomes> {
    return new Promise((resolve, reject) => {
      const settle = (fault?: Fault) =>
        fault ? reject(fault) : resolve(this.store.apply(++this.#index, data));
      this.proposed.push({ data, settle });
    });
  }
  readBarrier = async () => {};
  changeMembers = async () => {};
  caughtUpLearners = () => [];
  transferLeadership = async () => {};
  reachable = () => true;
  close = async () => {};
}

function world() {
  const store = new Store();
  const consensus = new SlowConsensus(store);
  const writer = new Writer({ store, consensus, clock: systemClock, log: silentLogger() });
  const stop = new AbortController();
  const done = writer.run(stop.signal);
  const ask = (request: Request<string>) => writer.write(request, (view) => view.cluster()?.id);
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  return { store, consensus, writer, stop, done, ask, turn };
}

const make: Request<string> = (draft) => {
  if (draft.cluster()) return refuse("already-exists", "made already");
  draft.create("cluster", Cluster.fromPartial({ id: "c" }));
  return "c";
};
const look: Request<string> = (draft) => draft.cluster()?.id ?? "none";

describe("the writer", () => {
  test("answers when the entry is applied, from what is applied", async () => {
    const { consensus, ask, turn, store } = world();
    const answer = ask(make);
    await turn();
    expect(store.view.cluster()).toBeUndefined();
    consensus.proposed[0]?.settle();
    expect(await answer).toBe("c");
  });

  test("puts what came meanwhile into one entry, each request seeing those before it", async () => {
    const { consensus, ask, turn } = world();
    const first = ask((draft) => {
      draft.create("node", { ...NODE, id: "n" });
      return "n";
    });
    await turn();
    const answers = [ask(make), ask(make), ask(look)];
    await turn();
    expect(consensus.proposed).toHaveLength(1);
    consensus.proposed[0]?.settle();
    await first;
    await turn();
    expect(consensus.proposed).toHaveLength(2);
    const { transactions } = Batch.decode(consensus.proposed[1]?.data ?? new Uint8Array());
    expect(transactions).toHaveLength(1);
    const refused = await answers[1];
    expect(isRefusal(refused) && refused.code).toBe("already-exists");
    consensus.proposed[1]?.settle();
    expect(await answers[0]).toBe("c");
    expect(await answers[2]).toBe("c");
  });

  test("proposes nothing for requests that change nothing", async () => {
    const { consensus, ask } = world();
    expect(await ask(look)).toBeUndefined();
    expect(consensus.proposed).toHaveLength(0);
  });

  const failures = [
    { code: "DISK_FULL", want: "resource-exhausted", says: "disk is full" },
    { code: "BUSY", want: "unavailable", says: "busy" },
  ];
  for (const { code, want, says } of failures) {
    test(`tells the asker of ${code}, and goes on`, async () => {
      const { consensus, ask, turn, store } = world();
      const answer = ask(make);
      await turn();
      consensus.proposed[0]?.settle(new Fault(code));
      const refused = await answer;
      expect(isRefusal(refused) && [refused.code, refused.message.includes(says)]).toEqual([
        want,
        true,
      ]);
      expect(store.view.cluster()).toBeUndefined();
      const again = ask(make);
      await turn();
      consensus.proposed[1]?.settle();
      expect(await again).toBe("c");
    });
  }

  test("does nothing on a manager that does not lead", async () => {
    const { consensus, ask } = world();
    consensus.leading = false;
    await expect(ask(make)).rejects.toThrow("NOT_LEADER");
    expect(consensus.proposed).toHaveLength(0);
  });

  test("undoes a request that throws, and does the others", async () => {
    const { consensus, ask, turn } = world();
    const bug = ask((draft) => {
      draft.create("node", { ...NODE, id: "n" });
      throw new Error("bug");
    });
    const answer = ask(make);
    await expect(bug).rejects.toThrow("bug");
    await turn();
    const { transactions } = Batch.decode(consensus.proposed[0]?.data ?? new Uint8Array());
    expect(transactions.flatMap(({ actions }) => actions)).toHaveLength(1);
    consensus.proposed[0]?.settle();
    expect(await answer).toBe("c");
  });

  test("refuses what waits when it stops", async () => {
    const { consensus, ask, turn, stop, done } = world();
    void ask(make);
    await turn();
    const waiting = ask(look);
    stop.abort(new Fault("STOPPED"));
    consensus.proposed[0]?.settle(new Fault("STOPPED"));
    const refused = await waiting;
    expect(isRefusal(refused) && refused.message).toContain("stopping");
    await done;
  });
});
