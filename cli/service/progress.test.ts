// `service create` waits until the service is as it was asked to be, says how far it is, and ends badly
// when the update does.
import { expect, test } from "vitest";
import { FakeAgent } from "../testing/fake-agent.js";
import { run } from "../testing/run.js";

interface Moment {
  readonly states: readonly string[];
  readonly update?: { readonly State: string; readonly Message: string };
}

/** A service whose tasks go through these moments, one each time it is asked for. */
function serviceThrough(moments: readonly Moment[]): Promise<FakeAgent> {
  let at = -1;
  const now = () => moments[Math.min(at, moments.length - 1)];
  return FakeAgent.start({
    custom: (heard, response) => {
      const answer = (value: unknown) => {
        response.setHeader("Content-Type", "application/json");
        response.end(JSON.stringify(value));
        return true;
      };
      if (heard.path.startsWith("/distribution/")) {
        response.statusCode = 404;
        return answer({ message: "no registry" });
      }
      if (heard.path === "/services/create") return answer({ ID: "s1" });
      if (heard.path.startsWith("/services/s1")) {
        at++;
        return answer({
          ID: "s1",
          Version: { Index: 7 },
          Spec: {
            Name: "web",
            Mode: { Replicated: { Replicas: 2 } },
            UpdateConfig: { Monitor: 300_000_000 },
          },
          ...(now()?.update ? { UpdateStatus: now()?.update } : {}),
        });
      }
      if (heard.path.startsWith("/tasks")) {
        const tasks = (now()?.states ?? []).map((state, i) => ({
          ID: `t${i}`,
          Slot: i + 1,
          NodeID: "n1",
          DesiredState: "running",
          Status: state.startsWith("!")
            ? { State: "rejected", Err: state.slice(1) }
            : { State: state },
        }));
        return answer(tasks);
      }
      return heard.path === "/nodes" && answer([{ ID: "n1", Status: { State: "ready" } }]);
    },
  });
}

const CREATE = ["service", "create", "--no-resolve-image", "--replicas", "2", "alpine"];

test("every change is told once, and the end when it has been stable", async () => {
  const agent = await serviceThrough([
    { states: [] },
    { states: ["preparing", "preparing"] },
    { states: ["preparing", "preparing"] },
    { states: ["running", "starting"] },
    { states: ["running", "running"] },
  ]);
  const result = await run(CREATE, { socket: agent.socketPath });
  await agent.stop();
  expect(result.stdout.split("\n")).toEqual([
    "s1",
    "overall progress: 0 out of 2 tasks",
    "1/2: ",
    "2/2: ",
    "1/2: preparing",
    "2/2: preparing",
    "overall progress: 1 out of 2 tasks",
    "1/2: running",
    "2/2: starting",
    "overall progress: 2 out of 2 tasks",
    "2/2: running",
    "verify: Waiting 1 seconds to verify that tasks are stable...",
    "verify: Service web converged",
    "",
  ]);
  expect(result.exit).toBe(0);
});

test("an update that stops is a failure with its reason", async () => {
  const update = { State: "paused", Message: "update paused due to failure of task t1" };
  const agent = await serviceThrough([
    { states: ["!No such image: x:1", "running"] },
    { states: [], update },
  ]);
  const result = await run(["service", "update", "--force", "s1"], { socket: agent.socketPath });
  await agent.stop();
  expect(result.stderr).toBe(`service update paused: ${update.Message}\n`);
  expect(result.exit).toBe(1);
});

test("-d does not wait", async () => {
  const agent = await serviceThrough([{ states: [] }]);
  const result = await run(["service", "create", "-d", "alpine"], { socket: agent.socketPath });
  await agent.stop();
  expect(result.stdout).toBe("s1\n");
  expect(result.stderr).toMatch(/^image alpine:latest could not be accessed on a registry/);
});
