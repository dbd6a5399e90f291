import { expect, test } from "vitest";
import { Assignments, ManagerMessage } from "../../proto/gen/dispatcher.js";
import { SharedDispatcherService } from "./shared-bytes.js";

const { responseSerialize } = SharedDispatcherService.session;

test("what is sent to many is encoded once, and decodes to what it was", () => {
  const value = Assignments.create({ revision: 7, removedEndpoints: ["one"] });
  const sent = () => responseSerialize({ message: { $case: "assignments", value } });
  expect(sent()).toBe(sent());
  expect(ManagerMessage.decode(sent()).message?.value).toEqual(value);
  const other = Assignments.create({ revision: 8 });
  const bytes = responseSerialize({ message: { $case: "assignments", value: other } });
  expect(ManagerMessage.decode(bytes).message?.value).toEqual(other);
});
