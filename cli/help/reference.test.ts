import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "vitest";
import { parseArgs } from "../args/parse.js";
import { allCommands, find } from "../tree.js";
import { referenceTable } from "./reference.js";

test("docs/cli.md has every command as it is", () => {
  const page = readFileSync(join(import.meta.dirname, "../../docs/cli.md"), "utf8");
  assert.ok(page.includes(referenceTable(allCommands)), referenceTable(allCommands));
});

for (const command of allCommands) {
  test(`the example of skein ${command.path} is one that skein understands`, () => {
    const words = command.example.split(" > ")[0]?.split(" ").slice(1) ?? [];
    const found = find(words);
    assert.ok(found.kind === "command");
    assert.equal(found.command.path, command.path);
    const interspersed = command.interspersed ?? true;
    const parsed = parseArgs(found.rest, command.flags, { interspersed });
    assert.equal(parsed.kind, "parsed");
  });
}
