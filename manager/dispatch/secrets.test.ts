// A secret's value leaves a manager only towards a node that runs a task with that secret: who is sent what is walked
// over whole histories of services, by looking for the bytes themselves in every message.
import { describe, expect, test } from "vitest";
import { type Random, seededRandom } from "../../common/random.js";
import { Assignments, NodeUpdate } from "../../proto/gen/dispatcher.js";
import { TaskState } from "../../proto/gen/service.js";
import { Availability } from "../../proto/gen/types.js";
import { OrchestratedSwarm } from "../../test/fakes/orchestrated-swarm.js";
import { makeConfig, makeSecret } from "../../test/fakes/services.js";
import { affectedNodes } from "./affected.js";
import { Following } from "./following.js";
import { SharedDeltas } from "./shared-deltas.js";

const SEEDS = Number(process.env["SKEIN_SEEDS"] ?? 15);
const NODES = ["h1", "h2", "h3"];
const SECRETS = ["one", "two", "three"];
const secretValue = (secret: string) => `the value of ${secret}, which nobody may see`;

class Walk {
  readonly swarm = new OrchestratedSwarm(NODES.length);
  readonly ids = new Map(
    SECRETS.map((name) => [name, makeSecret(this.swarm.state, name, secretValue(name))]),
  );
  #sessions = new Map<string, Following>();
  /** Messages with a value in them. */
  carried = 0;
  readonly #shared = new SharedDeltas();

  constructor() {
    makeConfig(this.swarm.state, "conf", "{{ secret one }}");
    this.swarm.state.store.changes.subscribe((change) => {
      const affected = affectedNodes(change, this.swarm.view);
      for (const session of this.#sessions.values()) session.note(affected, change.revision);
    });
    this.swarm.onStep = () => this.look();
  }

  /** A new session of each node's agent, that holds what was there at `revision`. */
  connect(revision: number): void {
    this.#sessions = new Map(NODES.map((id) => [id, new Following(id, revision)]));
  }

  /** Sends each node what it is due, and looks what was in it. */
  look(): void {
    const { view } = this.swarm;
    for (const [node, session] of this.#sessions) {
      const update = session.takeUpdate(view);
      const assignments = session.takeAssignments(view, this.#shared);
      const said =
        update === undefined || update === "removed" ? [] : [NodeUpdate.encode(update).finish()];
      if (assignments !== undefined) said.push(Assignments.encode(assignments).finish());
      for (const name of SECRETS) {
        const isSaid = said.some((bytes) => Buffer.from(bytes).includes(secretValue(name)));
        if (!isSaid) continue;
        this.carried++;
        expect(this.#runs(node, name), `${node} was sent the value of ${name}`).toBe(true);
      }
    }
  }

  #runs(node: string, secret: string): boolean {
    const id = this.ids.get(secret);
    return [...this.swarm.view.tasksOn(node)].some(
      ({ spec, desiredState, status }) =>
        desiredState <= TaskState.COMPLETE &&
        (status?.state ?? TaskState.NEW) <= TaskState.RUNNING &&
        spec?.container?.secrets.some(({ secretId }) => secretId === id),
    );
  }

  step(random: Random): void {
    const { swarm } = this;
    const one = <T>(items: readonly T[]) => items[random.below(items.length)] as T;
    const secretName = one(SECRETS);
    const secrets = [{ secretId: this.ids.get(secretName) ?? "", secretName, file: { name: "s" } }];
    const name = one(["web", "job", "db"]);
    const exists = swarm.view.serviceByName(name) !== undefined;
    const args = [one(["crash", "finish", "slow-stop"]), "300"];
    const container = { image: "alpine", args, secrets: one([secrets, []]) };
    const mode = { $case: "replicated" as const, value: { replicas: 1 + random.below(3) } };
    if (!exists) {
      swarm.create({ name, mode, task: { container } });
    } else {
      const label = `${random.below(99)}`;
      const revision = one([0, swarm.view.revision, Math.max(0, swarm.view.revision - 20)]);
      one([
        () => swarm.remove(name),
        () => swarm.cutOff(one(NODES)),
        () => swarm.hello(one(NODES)),
        () => swarm.availability(one(NODES), one([Availability.ACTIVE, Availability.DRAIN])),
        () => swarm.update(name, (spec) => ({ ...spec, labels: { label } })),
        () => this.connect(revision),
      ])();
    }
    this.look();
    swarm.advance(random.below(800));
    this.look();
  }
}

describe("the value of a secret", () => {
  test("goes to no node that runs no task with it, whatever happens to services and nodes", () => {
    let carried = 0;
    for (let seed = 1; seed <= SEEDS; seed++) {
      const random = seededRandom(seed);
      const walk = new Walk();
      walk.connect(0);
      for (let i = 0; i < 40; i++) walk.step(random);
      carried += walk.carried;
    }
    // Or nothing was looked at.
    expect(carried).toBeGreaterThan(SEEDS * 3);
  });

  test("goes to a node once for a task, and not again when that task has ended", () => {
    const walk = new Walk();
    const { swarm } = walk;
    walk.connect(0);
    const secrets = [
      { secretId: walk.ids.get("one") ?? "", secretName: "one", file: { name: "s" } },
    ];
    const container = { image: "alpine", args: ["finish", "300"], secrets };
    swarm.create({
      name: "job",
      mode: { $case: "replicatedJob", value: { maxConcurrent: 1, totalCompletions: 1 } },
      task: { container, restart: { condition: 0 } },
    });
    swarm.advance(100);
    walk.look();
    expect(walk.carried).toBe(1);
    swarm.advance(2_000);
    walk.look();
    const [task] = [...swarm.view.tasks()];
    expect(task?.status?.state).toBe(TaskState.COMPLETE);
    // Its agent starts anew, and holds nothing.
    walk.connect(0);
    walk.look();
    expect(walk.carried).toBe(1);
  });
});
