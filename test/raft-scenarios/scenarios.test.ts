// Conversations between Raft members, written down beside this file: README.md says how to read them.
// To write what they show anew, and then read it before it is committed:
//   SKEIN_REWRITE=1 npx vitest run --project unit test/raft-scenarios
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { formatScenario, parseScenarios, play } from "../fakes/raft-script.js";

const folder = fileURLToPath(new URL(".", import.meta.url));
const rewrite = process.env["SKEIN_REWRITE"] === "1";

for (const file of readdirSync(folder).filter((name) => name.endsWith(".txt"))) {
  const path = join(folder, file);
  const scenarios = parseScenarios(readFileSync(path, "utf8"));
  describe(file, () => {
    if (rewrite) {
      test("is written anew", () => {
        const texts = scenarios.map((scenario) => formatScenario(scenario, play(scenario)));
        writeFileSync(path, texts.join("\n"));
      });
      return;
    }
    for (const scenario of scenarios) {
      test(scenario.title, () => {
        const want = scenario.parts.flatMap((part) => (part.kind === "play" ? [part.want] : []));
        // As one text: what differs is then shown where it stands, with its commands.
        const shown = formatScenario(scenario, play(scenario));
        expect(shown).toBe(formatScenario(scenario, want));
      });
    }
  });
}
