import { expect, test } from "vitest";
import { type Task, TaskState, TaskStatus } from "../../proto/gen/service.js";
import { Endpoint, EndpointKind } from "../../proto/gen/types.js";
import { changeService, makeService, makeTask, serviceSpec } from "../../test/fakes/services.js";
import { SwarmState, sentenceOf } from "../../test/fakes/swarm-state.js";
import { takeAddresses } from "../ipam/addresses.js";
import { Store } from "../store/store.js";
import { findNetwork, networksShown } from "./network-lookup.js";
import { removeService } from "./service.js";
import { recordReports } from "./task-status.js";

/** A service "web" with tasks on the network "net". */
function lab(count = 2) {
  const swarm = new SwarmState();
  swarm.node("n1");
  const network = swarm.network({ name: "net" });
  const onNet = serviceSpec({ task: { networks: [{ target: "net" }] } });
  const service = makeService(swarm, onNet);
  const tasks = Array.from({ length: count }, (_, i) => {
    const status = { state: TaskState.RUNNING };
    const parts = { nodeId: "n1", slot: i + 1, status, endpointIds: [`e${i}`] };
    const task = makeTask(swarm, service, parts);
    swarm.must((draft) => {
      const given = takeAddresses(draft, network, { ipv4: "", ipv6: "" });
      const place = { networkId: network.id, nodeId: "n1", kind: EndpointKind.TASK };
      const endpoint = Endpoint.fromPartial({ id: `e${i}`, ...place, ownerId: task.id });
      draft.create("endpoint", { ...endpoint, ...(given as object) });
      return true;
    });
    return task;
  });
  const end = (task: Task | undefined) =>
    swarm.must((draft) => {
      const status = TaskStatus.fromPartial({ state: TaskState.SHUTDOWN });
      recordReports(draft, "n1", [{ taskId: task?.id ?? "", status }], 77);
      return true;
    });
  const dropService = () =>
    swarm.must((draft) => removeService(draft, { id: service.id }, swarm.context) ?? true);
  return { swarm, network, service, tasks, end, dropService };
}

test("a network that tasks are just leaving is gone at once, and ends with the last of them", () => {
  const { swarm, network, tasks, end, dropService } = lab();
  dropService();
  expect(swarm.removeNetwork(network.id)).toBeUndefined();
  for (const ref of [network.id, "net", network.id.slice(0, 10)]) {
    expect(sentenceOf(findNetwork(swarm.view, ref))).toBe(`not-found: network ${ref} not found`);
  }
  expect(networksShown(swarm.view).map(({ spec }) => spec?.name)).toEqual(["ingress"]);
  expect(sentenceOf(swarm.removeNetwork(network.id))).toMatch(/not found$/);
  expect(() => swarm.attach(network.id)).toThrow(/not found/);
  const restored = new Store();
  restored.restore(swarm.store.snapshot());
  expect(restored.view.network(network.id)?.leaving).toBe(true);
  end(tasks[0]);
  expect(swarm.view.network(network.id)?.leaving).toBe(true);
  end(tasks[1]);
  expect(swarm.view.network(network.id)).toBeUndefined();
  expect([...swarm.view.resting(network.id)]).toEqual([]);
  expect(swarm.view.quarantined(`vni/${network.vni}`)).toBeDefined();
});

test("its name is free at once, its subnet when it has ended", () => {
  const { swarm, network, tasks, end, dropService } = lab(1);
  dropService();
  swarm.removeNetwork(network.id);
  const ipam = [{ subnet: network.subnets[0]?.cidr ?? "" }];
  expect(
    sentenceOf(swarm.write((draft) => swarm.createNetwork(draft, { name: "net", ipam }))),
  ).toBe(
    "failed-precondition: subnet 10.0.1.0/24 overlaps with 10.0.1.0/24 of network net, which is " +
      "removed when its last task has ended",
  );
  const again = swarm.network({ name: "net" });
  expect(again.subnets[0]?.cidr).toBe("10.0.2.0/24");
  end(tasks[0]);
  expect(findNetwork(swarm.view, "net")).toMatchObject({ id: again.id });
  expect(swarm.network({ name: "old", ipam }).subnets[0]?.cidr).toBe("10.0.1.0/24");
});

test("who uses it holds it: a service, a task that is to run, a container of a person", () => {
  const { swarm, network, service, tasks, dropService } = lab(1);
  expect(sentenceOf(swarm.removeNetwork(network.id))).toBe(
    `failed-precondition: network ${network.id} is in use by service ${service.id}`,
  );
  changeService(swarm, service.id, serviceSpec());
  expect(sentenceOf(swarm.removeNetwork(network.id))).toMatch(/is in use by service/);
  const task = swarm.view.task(tasks[0]?.id ?? "");
  if (task === undefined) throw new Error("no task");
  swarm.must((draft) => {
    draft.update("task", { ...task, desiredState: TaskState.SHUTDOWN });
    return true;
  });
  const container = swarm.attach("net", { name: "c1" });
  expect(sentenceOf(swarm.removeNetwork(network.id))).toMatch(/is in use by endpoint c1/);
  swarm.detach(container);
  expect(swarm.removeNetwork(network.id)).toBeUndefined();
  dropService();
});
