import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { Fault } from "../../common/fault.js";
import { sentenceOf } from "./fault-sentence.js";

// The first end the agent before it serves anybody, and agent/disk/state-problem.ts and main.ts have their
// sentences; the last two are sentences from where they are thrown.
const ELSEWHERE = /^((API|STATE|JOURNAL)_.*|METRICS_LISTEN|NO_MANAGER|ENDPOINT_NOT_READY)$/;

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const data = {
  ...{ addr: "192.0.2.1:2377", path: "/var/x", target: "/proc", vni: 4097, pid: 7, name: "eth0" },
  ...{ program: "leave", table: "peers" },
  ...{ number: 9, step: "make-network", verb: "start", unit: "x.service", waitingFor: "started" },
};

function codes(): readonly string[] {
  const files = ["agent", "common"].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" }).map((file) =>
      join(root, folder, file),
    ),
  );
  const sources = files.filter((file) => /(?<!\.test)\.ts$/.test(file));
  const found = sources.flatMap((file) =>
    [...readFileSync(file, "utf8").matchAll(/new Fault\(\s*"([A-Z_]+)"/g)].map(([, code]) => code),
  );
  return [...new Set(found)].flatMap((code) => code ?? []).sort();
}

describe("a fault of this code is a sentence", () => {
  for (const code of codes().filter((each) => !ELSEWHERE.test(each))) {
    test(code, () => {
      const said = sentenceOf(new Fault(code, data, new Error("no such device")));
      expect(said).not.toMatch(/[A-Z]{3,}_[A-Z]+|undefined|=/);
      expect(said).not.toContain("something failed");
    });
  }
});

const cases = [
  {
    name: "a manager that is down, through another fault",
    fault: new Fault(
      "SESSION_ENDED",
      { addr: "192.0.2.1:2377" },
      new Fault("RPC_UNREACHABLE", { addr: "192.0.2.1:2377", why: "connection refused" }),
    ),
    want: "the manager at 192.0.2.1:2377 ended the session: the manager at 192.0.2.1:2377 cannot be reached: connection refused",
  },
  {
    name: "an unknown code is named beside the cause",
    fault: new Fault("BRAND_NEW", { addr: "x" }, new Error("it broke")),
    want: "something failed on this machine: it broke (BRAND_NEW); the agent's log says more",
  },
  {
    name: "containerd's own words, and what they mean",
    fault: new Fault("CONTAINERD", { status: "UNKNOWN", why: "mkdir: no space left on device" }),
    want: "the disk of containerd is full: mkdir: no space left on device",
  },
  {
    name: "what was a sentence where it was thrown stays one",
    fault: Object.assign(new Fault("NO_MANAGER"), { message: "No manager of the swarm answers" }),
    want: "No manager of the swarm answers",
  },
  { name: "any other error says its message", fault: new Error("plain"), want: "plain" },
];
for (const { name, fault, want } of cases) test(name, () => expect(sentenceOf(fault)).toBe(want));
