import assert from "node:assert/strict";
import { test } from "vitest";
import type { Flag } from "../command.js";
import { parseNetwork } from "./network-option.js";
import { parseArgs } from "./parse.js";
import { parseDuration } from "./values.js";

const flags: readonly Flag[] = [
  { name: "all", short: "a", type: "bool", about: "" },
  { name: "interactive", short: "i", type: "bool", about: "" },
  { name: "env", short: "e", type: "list", about: "" },
  { name: "ip", type: "strings", about: "" },
  { name: "count", short: "n", type: "int", fallback: "3", about: "" },
];

const cases: readonly {
  name: string;
  words: string;
  interspersed?: false;
  want: string;
}[] = [
  { name: "flags may follow arguments", words: "x -a y", want: "all=true | x y" },
  {
    name: "an argument may end the flags",
    words: "-a x -i y",
    interspersed: false,
    want: "all=true | x -i y",
  },
  { name: "two dashes end the flags", words: "-a -- -i x", want: "all=true | -i x" },
  {
    name: "two dashes after the first argument belong to it",
    words: "x -- y",
    interspersed: false,
    want: "| x -- y",
  },
  { name: "letters may stand together", words: "-ai x", want: "all=true interactive=true | x" },
  { name: "a value may touch its letter", words: "-aeX=1", want: "all=true env=X=1 |" },
  { name: "an equals sign after a letter is not of the value", words: "-n=5", want: "count=5 |" },
  { name: "a boolean may be given a value", words: "--all=false", want: "all=false |" },
  { name: "a boolean takes no word after it", words: "--all false", want: "all=true | false" },
  { name: "one dash is an argument", words: "- -a", want: "all=true | -" },
  {
    name: "a list repeats, and commas split where the type says",
    words: "-e A,B -e C --ip 1,2 --ip 3",
    want: "env=A,B;C ip=1;2;3 |",
  },
  { name: "a flag's value may look like a flag", words: "-e -a", want: "env=-a |" },
  { name: "help is asked for anywhere", words: "x --help", want: "help" },
  { name: "an unknown flag is named", words: "--bogus=1", want: "unknown flag: --bogus" },
  {
    name: "an unknown letter is named with its group",
    words: "-az",
    want: "unknown shorthand flag: 'z' in -z",
  },
  {
    name: "a missing value names the spelling",
    words: "-ae",
    want: "flag needs an argument: 'e' in -e",
  },
  {
    name: "a bad number says so",
    words: "--count x",
    want: 'invalid argument "x" for "-n, --count" flag: strconv.ParseInt: parsing "x": invalid syntax',
  },
];

for (const { name, words, interspersed, want } of cases) {
  test(name, () => {
    const parsed = parseArgs(words.split(" "), flags, { interspersed: interspersed ?? true });
    if (parsed.kind !== "parsed") {
      assert.equal(parsed.kind === "help" ? "help" : parsed.why, want);
      return;
    }
    const given = flags
      .filter((flag) => parsed.flags.has(flag.name))
      .map((flag) => `${flag.name}=${parsed.flags.list(flag.name).join(";")}`);
    const left = given.length === 0 ? "|" : `${given.join(" ")} |`;
    assert.equal([left, ...parsed.args].join(" "), want);
  });
}

test("a flag that is not given has its fallback", () => {
  const parsed = parseArgs([], flags, { interspersed: true });
  assert.ok(parsed.kind === "parsed");
  assert.equal(parsed.flags.number("count"), 3);
  assert.equal(parsed.flags.bool("all"), false);
});

const durations: readonly (readonly [string, number | undefined])[] = [
  ["5s", 5e9],
  ["1h30m", 5400e9],
  ["1.5s", 1.5e9],
  ["-2m", -120e9],
  ["100us", 1e5],
  ["0", 0],
  ["5", undefined],
  ["s", undefined],
  ["5 s", undefined],
  ["5x", undefined],
];
for (const [text, want] of durations) {
  test(`the duration ${text} is ${want} ns`, () => assert.equal(parseDuration(text), want));
}

const networks: readonly (readonly [string, object | string])[] = [
  ["overnet", { name: "overnet" }],
  ["Overnet,ip=10.0.1.9,alias=A,alias=b", { name: "Overnet", ip: "10.0.1.9", aliases: ["A", "b"] }],
  ["name=n,ip6=fd00::9,driver-opt=K=v=w", { name: "n", ip6: "fd00::9", driverOpts: { k: "v=w" } }],
  ["name=n,gw-priority=-3,mac-address=02:42:0a:00:00:01", { gwPriority: -3 }],
  ["name=n,alias", "invalid field alias"],
  ["name=n,foo=1", "invalid field key foo"],
  ["ip=10.0.1.9", "network name/id is not specified"],
  ["name=n,driver-opt=k", "invalid key/value pair format in driver options"],
  ["name=n,gw-priority=high", "invalid gw-priority (high): it must be a whole number"],
];
for (const [written, want] of networks) {
  test(`--network ${written}`, () => {
    const parse = () => parseNetwork(written);
    if (typeof want === "string") assert.throws(parse, { message: want });
    else assert.deepEqual(parse(), { ...parse(), ...want });
  });
}
