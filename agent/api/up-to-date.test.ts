import { expect, test } from "vitest";
import { PublishMode, Service, Task } from "../../proto/gen/service.js";
import { isUpToDate } from "./up-to-date.js";

const spec = (image: string, constraints: string[] = []) => ({
  container: { image },
  placement: { constraints },
});
const service = (specVersion: number, image: string, ports: number[] = []) =>
  Service.fromPartial({
    specVersion,
    spec: { task: spec(image) },
    ports: ports.map((publishedPort) => ({ publishedPort, publishMode: PublishMode.HOST })),
  });
const task = (specVersion: number, image: string, constraints: string[] = []) =>
  Task.fromPartial({ specVersion, spec: spec(image, constraints) });

const cases = [
  { name: "made of this version", task: task(2, "a"), of: service(2, "a"), want: true },
  { name: "made of an older template", task: task(1, "a"), of: service(2, "b"), want: false },
  {
    name: "left alone by an update that was rolled back",
    task: task(1, "a"),
    of: service(3, "a"),
    want: true,
  },
  {
    name: "kept though the constraints are others",
    task: task(1, "a", ["node.role==manager"]),
    of: service(2, "a"),
    want: true,
  },
  {
    name: "without the service's ports",
    task: task(1, "a"),
    of: service(2, "a", [80]),
    want: false,
  },
  { name: "of a service that is gone", task: task(1, "a"), of: undefined, want: false },
];
for (const { name, task, of, want } of cases) {
  test(`a task ${name} is ${want ? "" : "not "}up to date`, () => {
    expect(isUpToDate(task, of)).toBe(want);
  });
}
