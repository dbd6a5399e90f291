import { expect, test } from "vitest";
import { parseExternalCa } from "./external-ca.js";

test("an external CA is sent whole, for the daemon to judge", () => {
  expect(parseExternalCa("protocol=cfssl,url=https://ca.example,label=x")).toEqual({
    Protocol: "cfssl",
    URL: "https://ca.example",
    Options: { label: "x" },
    CACert: "",
  });
});

for (const [spec, why] of [
  ["nonsense", "invalid field 'nonsense' must be a key=value pair"],
  ["protocol=acme,url=x", "unrecognized external CA protocol acme"],
  ["url=x", "the external-ca option needs a protocol= parameter"],
  ["protocol=cfssl", "the external-ca option needs a url= parameter"],
  ["protocol=cfssl,url=x,cacert=/nonexistent", "unable to read CA cert"],
] as const) {
  test(`refused is ${spec}`, () => {
    expect(() => parseExternalCa(spec)).toThrow(why);
  });
}
