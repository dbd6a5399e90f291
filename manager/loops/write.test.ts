import { describe, expect, test } from "vitest";
import { systemClock } from "../../common/clock.js";
import { Fault, isRefusal, refuse } from "../../common/fault.js";
import { silentLogger } from "../../common/log.js";
import { Topic } from "../../common/watch.js";
import { Batch } from "../../proto/gen/store.js";
import { Cluster, Node } from "../../proto/gen/types.js";
import { LEADER } from "../../test/fakes/idle-log.js";
import type { Consensus, RaftStatus } from "../seams.js";
import { type Outcomes, Store } from "../store/store.js";
import { type Request, Writer } from "./write.js";

const NODE = Node.fromPartial({ publicKeyDigest: Buffer.from([1]) });
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
  /** Resolves at once unless a test says otherwise. */
  readBarrier: () => Promise<void> = async () => {};
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
    consensus.proposed[1]?.settle();
    const refused = await answers[1];
    expect(isRefusal(refused) && refused.code).toBe("already-exists");
    expect(await answers[0]).toBe("c");
    expect(await answers[2]).toBe("c");
  });

  test("proposes nothing for requests that change nothing", async () => {
    const { consensus, ask } = world();
    expect(await ask(look)).toBeUndefined();
    expect(consensus.proposed).toHaveLength(0);
  });

  test("a refusal that rests on what the same entry writes is none when the entry is lost", async () => {
    const { consensus, ask, turn } = world();
    const answers = [ask(make), ask(make)].map((answer) => answer.catch((error) => error.code));
    await turn();
    consensus.proposed[0]?.settle(new Fault("LEADERSHIP_LOST"));
    expect(await Promise.all(answers)).toEqual(["LEADERSHIP_LOST", "LEADERSHIP_LOST"]);
  });

  test("a manager that leads no more refuses nothing and shows nothing by what it holds", async () => {
    const { consensus, ask, turn } = world();
    const made = ask(make);
    await turn();
    consensus.proposed[0]?.settle();
    await made;
    let confirm = (_lost?: Fault) => {};
    consensus.readBarrier = () =>
      new Promise((resolve, reject) => {
        confirm = (lost) => (lost ? reject(lost) : resolve());
      });
    const lost = [ask(make), ask(look)].map((answer) => answer.catch((error) => error.code));
    await turn();
    confirm(new Fault("NOT_LEADER"));
    expect(await Promise.all(lost)).toEqual(["NOT_LEADER", "NOT_LEADER"]);
    const refused = ask(make);
    const first = await Promise.race([refused, turn().then(() => "waits")]);
    expect(first).toBe("waits");
    confirm();
    expect(isRefusal(await refused)).toBe(true);
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

  test("undoes a request that the log cannot hold, and does the others", async () => {
    const { consensus, ask, turn, store } = world();
    const first = ask((draft) => {
      draft.create("node", { ...NODE, id: "n" });
      return "n";
    });
    await turn();
    const bad = ask((draft) => {
      const spec = { ...Cluster.fromPartial({}), id: "bad", dataPathPort: 0.5 };
      draft.create("cluster", spec);
      return "bad";
    });
    const failed = expect(bad).rejects.toThrow();
    const good = ask(make);
    consensus.proposed[0]?.settle();
    await first;
    await failed;
    await turn();
    consensus.proposed[1]?.settle();
    expect(await good).toBe("c");
    expect(store.view.cluster()?.id).toBe("c");
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

  test("keeps an entry small: what would make it too large waits for the next", async () => {
    const { store, consensus, writer, turn } = world();
    const secret = (n: number): Request<string> => {
      const spec = {
        name: `s${n}`,
        labels: {},
        data: Buffer.alloc(500 * 1024 - 1),
        templating: "",
      };
      return (draft) => {
        draft.create("secret", { id: `s${n}`, meta: undefined, spec });
        return `s${n}`;
      };
    };
    const answers = [0, 1, 2, 3, 4, 5, 6].map((n) => writer.write(secret(n), (_view, id) => id));
    const sizes: number[] = [];
    for (let entry = 0; entry < 3; entry++) {
      await turn();
      const proposed = consensus.proposed[entry];
      sizes.push(Batch.decode(proposed?.data ?? Buffer.alloc(0)).transactions.length);
      proposed?.settle();
      await turn();
    }
    expect(sizes).toEqual([3, 3, 1]);
    expect(await Promise.all(answers)).toEqual(["s0", "s1", "s2", "s3", "s4", "s5", "s6"]);
    expect([...store.view.secrets()]).toHaveLength(7);
  });
});
