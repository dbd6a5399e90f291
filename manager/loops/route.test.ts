import { describe, expect, test } from "vitest";
import { systemClock } from "../../common/clock.js";
import { Fault, isRefusal, refuse } from "../../common/fault.js";
import { NotLeader } from "../../common/grpc/status.js";
import { Topic } from "../../common/watch.js";
import type { RaftStatus } from "../seams.js";
import { Leadership } from "./leadership.js";
import { NO_LEADER, Router, unknownIfOutOfSequence, unknownIfTaken } from "./route.js";

const SELF = 1;
const OTHER = 2;
const members = [
  { raftId: SELF, nodeId: "a", addr: "a:1", learner: false },
  { raftId: OTHER, nodeId: "b", addr: "b:1", learner: false },
];

function world(leaderId: number) {
  let status: RaftStatus = statusOf(leaderId);
  const changed = new Topic<RaftStatus>();
  const consensus = { status: () => status, changed } as unknown as ConstructorParameters<
    typeof Leadership
  >[0];
  const leadership = new Leadership(consensus, systemClock);
  const link = (addr: string) => addr as never;
  const router = new Router({ leadership, link, clock: systemClock, waitMs: 150 });
  const elect = (id: number) => {
    status = statusOf(id);
    changed.publish(status);
  };
  return { router, elect };
}

function statusOf(leaderId: number): RaftStatus {
  const role = leaderId === SELF ? "leader" : "follower";
  const ready = leaderId === SELF;
  const removalsFinal = ready;
  return {
    ...{ raftId: SELF, role, term: 1, leaderId, commit: 1, applied: 1, members },
    ...{ ready, removalsFinal },
  };
}

function callerOf(forwarded = false) {
  const { signal } = new AbortController();
  return { peer: undefined, local: true, forwarded, requestId: "", remoteAddr: "", signal };
}

const here = async () => "here";
const there = async (link: unknown) => `at ${String(link)}`;
const fails = (fault: Error, times: number, then: string) => {
  let left = times;
  return async () => {
    if (left-- > 0) throw fault;
    return then;
  };
};
const unreachable = (sent: boolean) => new Fault("RPC_UNREACHABLE", { addr: "b:1", sent });

describe("a request", () => {
  test("that may have been done, of a manager that is not let in again, has an outcome that nobody knows", async () => {
    let isFirst = true;
    const asked = async () => {
      if (!isFirst) return refuse("permission-denied", "the node is not a manager any more");
      isFirst = false;
      throw unreachable(true);
    };
    const answer = await world(OTHER).router.onLeader<string>(callerOf(), here, asked);
    expect(isRefusal(answer) && answer.code).toBe("unavailable");
  });

  test("is done here by the leader, and sent on by another", async () => {
    expect(await world(SELF).router.onLeader(callerOf(), here, there)).toBe("here");
    expect(await world(OTHER).router.onLeader(callerOf(), here, there)).toBe("at b:1");
  });

  test("waits for a leader, and is refused in Docker's words when none comes", async () => {
    const { router, elect } = world(0);
    setTimeout(() => elect(OTHER), 20);
    expect(await router.onLeader(callerOf(), here, there)).toBe("at b:1");
    const refused = await world(0).router.onLeader(callerOf(), here, there);
    expect(isRefusal(refused) && refused.message).toBe(NO_LEADER);
  });

  test("that was sent on goes no further", async () => {
    const sentOn = world(OTHER).router.onLeader(callerOf(true), here, there);
    await expect(sentOn).rejects.toBeInstanceOf(NotLeader);
  });

  const again = [
    { name: "the other does not lead", fault: new NotLeader(undefined) },
    { name: "it was never sent", fault: unreachable(false) },
    { name: "it may have been done", fault: unreachable(true) },
    { name: "the lead was lost in the middle", fault: new NotLeader(undefined, true) },
  ];
  for (const { name, fault } of again) {
    test(`is sent again when ${name}`, async () => {
      const { router } = world(OTHER);
      const flaky = fails(fault, 1, "at last");
      expect(await router.onLeader(callerOf(), here, flaky)).toBe("at last");
    });
  }

  test("that is refused the second time is settled only if the first may have been done", async () => {
    const settled = async (fault: Error) => {
      const flaky = fails(fault, 1, "");
      const there = async () => {
        await flaky();
        return refuse("not-found", "gone");
      };
      return world(OTHER).router.onLeader(callerOf(), here, there, () => "was done");
    };
    expect(await settled(unreachable(true))).toBe("was done");
    expect(isRefusal(await settled(unreachable(false)))).toBe(true);
  });

  test("to change what was changed, and then removed, before it was asked again, has an outcome that nobody knows", async () => {
    const changed = async (sent: boolean) => {
      const flaky = fails(unreachable(sent), 1, "");
      const there = async () => {
        await flaky();
        return refuse("not-found", "gone");
      };
      return world(OTHER).router.onLeader(callerOf(), here, there, unknownIfOutOfSequence);
    };
    expect(await changed(true)).toMatchObject({ code: "unavailable" });
    expect(await changed(false)).toMatchObject({ code: "not-found" });
  });

  test("to make what is taken the second time has an outcome that nobody knows", async () => {
    const made = async (sent: boolean, code: "already-exists" | "invalid-argument") => {
      const flaky = fails(unreachable(sent), 1, "");
      const there = async () => {
        await flaky();
        return refuse(code, "no");
      };
      return world(OTHER).router.onLeader(callerOf(), here, there, unknownIfTaken);
    };
    expect(await made(true, "already-exists")).toMatchObject({ code: "unavailable" });
    expect(await made(true, "invalid-argument")).toMatchObject({ code: "invalid-argument" });
    expect(await made(false, "already-exists")).toMatchObject({ code: "already-exists" });
  });

  test("that may have been done when time is up says so", async () => {
    const { router } = world(OTHER);
    const broken = fails(unreachable(true), Number.POSITIVE_INFINITY, "");
    const refused = await router.onLeader(callerOf(), here, broken);
    expect(isRefusal(refused) && refused.message).toContain("look whether the change was made");
  });

  test("is not left with a leader that was replaced", async () => {
    const { router, elect } = world(OTHER);
    const frozen = (_link: unknown, { signal }: { signal: AbortSignal }) =>
      new Promise<string>((_resolve, reject) => {
        signal.addEventListener("abort", () => reject(new Fault("RPC_CANCELLED")));
      });
    setTimeout(() => elect(SELF), 20);
    expect(await router.onLeader(callerOf(), here, frozen)).toBe("here");
  });
});
