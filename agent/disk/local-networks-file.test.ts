import fc from "fast-check";
import { expect, test } from "vitest";
import { parseLocalNetworks } from "./local-networks-file.js";

const wrong = [
  "",
  "{",
  "[]",
  '{"format":2,"networks":[],"endpoints":[]}',
  '{"format":1,"networks":{},"endpoints":[]}',
  '{"format":1,"networks":[{"network":{"id":""}}],"endpoints":[]}',
  '{"format":1,"networks":[],"endpoints":[{"endpoint":{"id":"e"},"containerId":"c"}]}',
  '{"format":1,"networks":[],"endpoints":[{"endpoint":{"id":"e"},"containerId":"c","interfaceName":"eth0","ports":[{"containerPort":80,"hostPort":0,"protocol":"tcp","hostIp":""}]}]}',
];
test.each(wrong)("damaged: %s", (text) => expect(parseLocalNetworks(text)).toBeUndefined());

test("text of chance is damaged, and nothing worse", () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      const parsed = parseLocalNetworks(text);
      return parsed === undefined || parsed.networks.length >= 0;
    }),
  );
});
