// Conversations with a swarm of services, written down in testdata: see test/fakes/swarm-script.ts.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { formatScenario, parseScenarios, runScenario } from "../../test/fakes/swarm-script.js";

const folder = fileURLToPath(new URL("testdata", import.meta.url));
const rewrite = process.env["SKEIN_REWRITE"] === "1";

for (const file of readdirSync(folder)) {
  const path = join(folder, file);
  const scenarios = parseScenarios(readFileSync(path, "utf8"));
  describe(file, () => {
    for (const scenario of scenarios) {
      test(scenario.title, () => {
        const shown = runScenario(scenario);
        if (!rewrite) expect(shown).toBe(scenario.want);
      });
    }
    if (!rewrite) return;
    test("is written anew", () => {
      const text = scenarios.map((each) => formatScenario(each, runScenario(each)));
      writeFileSync(path, text.join("\n"));
    });
  });
}
