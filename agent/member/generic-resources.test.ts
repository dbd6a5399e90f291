import { expect, test } from "vitest";
import { parseGenericResources } from "./generic-resources.js";

test.each<[readonly string[], unknown]>([
  [[], []],
  [["gpu=4"], [{ kind: "gpu", value: 4, names: [] }]],
  [
    ["gpu=UUID2", "fpga=1", "gpu=UUID1"],
    [
      { kind: "fpga", value: 1, names: [] },
      { kind: "gpu", value: 2, names: ["UUID1", "UUID2"] },
    ],
  ],
  [["gpu=UUID1,gpu=UUID2"], [{ kind: "gpu", value: 2, names: ["UUID1", "UUID2"] }]],
  [["gpu"], '"gpu" is no generic resource: say KIND=NUMBER or KIND=NAME'],
  [["=3"], '"=3" is no generic resource: say KIND=NUMBER or KIND=NAME'],
  [["gpu=1", "gpu=a"], "mixed discrete and named resources for gpu"],
  [["gpu=1", "gpu=2"], "generic resource gpu is counted more than once"],
  [["gpu=-1"], "cannot ask for a negative or so large a resource: gpu=-1"],
])("%j", (texts, answer) => {
  expect(parseGenericResources(texts)).toEqual(answer);
});
