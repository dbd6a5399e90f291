import { describe, expect, test } from "vitest";
import { NodeState } from "../../proto/gen/types.js";
import { SwarmState, sentenceOf } from "../../test/fakes/swarm-state.js";
import { moveStep, type NodeWay } from "../dispatch/data-path-move.js";
import { updateCluster } from "./cluster.js";
import { advanceMove, giveUpMove } from "./data-path-port.js";
import { markNodeDown } from "./session.js";

const SECRETS = { worker: "w", manager: "m", unlockKey: Buffer.alloc(32) };

function ask(swarm: SwarmState, dataPathPort: number) {
  const { meta, spec } = swarm.view.cluster() ?? {};
  const tokens = { rotateWorkerToken: false, rotateManagerToken: false, rotateUnlockKey: false };
  const request = { version: meta?.version ?? 0, spec, ...tokens, dataPathPort };
  return swarm.write((draft) => updateCluster(draft, request, SECRETS));
}
const way = (swarm: SwarmState) => {
  const { dataPathPort, dataPathMove, dataPathProblem } = swarm.view.cluster() ?? {};
  const move =
    dataPathMove && `${dataPathMove.sending ? "draining" : "opening"} ${dataPathMove.port}`;
  return [dataPathPort, move, dataPathProblem];
};

describe("the data path port", () => {
  test("becomes another in three entries of the log", () => {
    const swarm = new SwarmState();
    ask(swarm, 5000);
    expect(way(swarm)).toEqual([4789, "opening 5000", ""]);
    swarm.must((draft) => advanceMove(draft));
    expect(way(swarm)).toEqual([5000, "draining 4789", ""]);
    swarm.must((draft) => advanceMove(draft));
    expect(way(swarm)).toEqual([5000, undefined, ""]);
  });

  test("is only one at a time; one that has not begun to send can be taken back", () => {
    const swarm = new SwarmState();
    ask(swarm, 5000);
    const already = "failed-precondition: the data path port is being changed to 5000 already";
    expect(sentenceOf(ask(swarm, 6000))).toBe(already);
    ask(swarm, 5000);
    ask(swarm, 4789);
    expect(way(swarm)).toEqual([4789, undefined, ""]);
    ask(swarm, 5000);
    swarm.must((draft) => advanceMove(draft));
    expect(sentenceOf(ask(swarm, 4789))).toBe(already);
  });

  test("stays with a reason when somebody cannot, and the next try forgets it", () => {
    const swarm = new SwarmState();
    ask(swarm, 5000);
    swarm.must((draft) => giveUpMove(draft, "h2 cannot"));
    expect(way(swarm)).toEqual([4789, undefined, "h2 cannot"]);
    ask(swarm, 6000);
    expect(way(swarm)).toEqual([4789, "opening 6000", ""]);
  });

  test.each([1, 1023, 49_152, 65_535])("%d is refused", (port) => {
    const swarm = new SwarmState();
    const want = `invalid-argument: invalid data path port ${port}: it must be 1024-49151`;
    expect(sentenceOf(ask(swarm, port))).toBe(want);
    expect(way(swarm)).toEqual([4789, undefined, ""]);
  });
});

describe("the next step", () => {
  const said = (nodeId: string, ...ports: number[]): NodeWay => ({
    nodeId,
    applied: true,
    ports,
    problem: "",
  });
  function moving() {
    const swarm = new SwarmState();
    swarm.node("n1");
    ask(swarm, 5000);
    return swarm;
  }

  test("comes when every node that is not down takes frames on both", () => {
    const swarm = moving();
    const { view } = swarm;
    const first = said("node0", 4789, 5000);
    expect(moveStep(view, [first], 0).kind).toBe("wait");
    expect(moveStep(view, [first, { ...said("n1", 4789, 5000), applied: false }], 0).kind).toBe(
      "wait",
    );
    expect(moveStep(view, [first, said("n1", 4789, 5000)], 0).kind).toBe("advance");
    swarm.must((draft) => markNodeDown(draft, "n1", "heartbeat failure"));
    expect(view.node("n1")?.state).toBe(NodeState.DOWN);
    expect(moveStep(view, [first], 0).kind).toBe("advance");
  });

  test("is back after ten seconds when a node cannot, and it is named", () => {
    const { view } = moving();
    const ways = [said("node0", 4789, 5000), { ...said("n1", 4789), problem: "Port taken." }];
    expect(moveStep(view, ways, 9_999).kind).toBe("wait");
    expect(moveStep(view, ways, 10_000)).toEqual({
      kind: "give-up",
      why: expect.stringMatching(/ does not take frames on UDP 5000: Port taken\.$/),
    });
  });

  test("is never back once frames are sent to the new port", () => {
    const swarm = moving();
    swarm.must((draft) => advanceMove(draft));
    const ways = [said("node0", 5000), said("n1")];
    expect(moveStep(swarm.view, ways, 60_000).kind).toBe("advance");
    expect(moveStep(swarm.view, ways.slice(1), 60_000).kind).toBe("wait");
  });
});
