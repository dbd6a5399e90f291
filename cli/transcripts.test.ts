// What a real docker CLI printed against a real daemon, recorded (testdata/), is what skein prints
// when it is given the same answers.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "vitest";
import { type Exchange, FakeAgent } from "./testing/fake-agent.js";
import { run } from "./testing/run.js";

interface Recording {
  readonly command: readonly string[];
  readonly now: string;
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly exit: number;
  readonly exchanges: readonly (Exchange & { readonly sent: unknown })[];
}

const folder = join(import.meta.dirname, "testdata");

/** The differences that are meant; docs/cli.md lists them for people. */
function inOurWords(text: string): string {
  return text
    .replace(/^exit status 1\n/gm, "")
    .replaceAll("docker engine version", "skein version")
    .replaceAll("Docker Root Dir", "Skein Root Dir")
    .replaceAll(/(?<![\w/.-])docker(:?) (?=['a-z])/g, "skein$1 ");
}

for (const file of readdirSync(folder).sort()) {
  const recording: Recording = JSON.parse(readFileSync(join(folder, file), "utf8"));
  const { command } = recording;
  if (skips(command)) continue;
  test(`docker ${command.join(" ").slice(0, 80)} (${file})`, async () => {
    const agent = await FakeAgent.start({ exchanges: recording.exchanges });
    try {
      const result = await run(command, {
        socket: agent.socketPath,
        stdin: recording.stdin,
        // The daemon's clock says whole seconds; the client looked a little later.
        nowMs: (Date.parse(recording.now) || 0) + 900,
      });
      const daemonsWord = recording.exchanges.map((one) => one.body).join("");
      const stderr = daemonsWord.includes("docker ")
        ? recording.stderr.replace(/^exit status 1\n/gm, "")
        : inOurWords(recording.stderr);
      assert.equal(
        comparable(withoutOwn(command, result.stdout)),
        comparable(narrowed(command, inOurWords(recording.stdout))),
      );
      assert.equal(result.stderr, stderr);
      assert.equal(result.exit, recording.exit);
      for (const exchange of recording.exchanges) sameRequest(exchange, agent);
    } finally {
      await agent.stop();
    }
  });
}

/** Whose words cannot be the same: they speak of the client itself, or of an image. */
function skips(command: readonly string[]): boolean {
  if (command[0] === "run" || command[0] === "version") return true;
  // The help of what has another default or one command more than docker's.
  const help = command.includes("--help");
  const group = command[1] === "--help" && ["node", "swarm"].includes(command[0] ?? "");
  return help && (command[1] === "create" || group);
}

/** Flags that docker has not. */
const OWN_FLAGS: Readonly<Record<string, RegExp>> = {
  "node demote": /\nOptions:\n {6}--force .*\n/,
  "swarm update": /^ {6}--(?:data-path-port|allow-expired-renewal) .*\n(?: {10,}.*\n)*/gm,
};
function withoutOwn(command: readonly string[], stdout: string): string {
  const own = OWN_FLAGS[command.slice(0, 2).join(" ")];
  return narrowed(command, own === undefined ? stdout : stdout.replace(own, ""));
}
/** A flag that docker has not may be wider than all of its. */
function narrowed(command: readonly string[], stdout: string): string {
  const hasOwn = command.slice(0, 2).join(" ") in OWN_FLAGS;
  return hasOwn ? stdout.replace(/ {2,}/g, "  ") : stdout;
}

/** `info` begins with the client's own part, and Go lists a map's keys as they fall. */
function comparable(stdout: string): string {
  const page = stdout.startsWith("Client:") ? stdout.slice(stdout.indexOf("\nServer:")) : stdout;
  // docker spells ">" inside of JSON for a web page.
  const plain = page.replaceAll("\\u003e", ">");
  return plain.replace(/(?<= Runtimes: ).*/, (names) => names.split(" ").sort().join(" "));
}

function sameRequest(exchange: Exchange & { readonly sent: unknown }, agent: FakeAgent): void {
  if (exchange.sent === null || exchange.sent === undefined) return;
  const heard = agent.heard.find(
    (one) => one.method === exchange.method && one.path === exchange.path,
  );
  assert.ok(heard !== undefined, `${exchange.method} ${exchange.path} was not asked`);
  assert.deepEqual(meaning(heard.body), meaning(exchange.sent));
}

/** Empty values and absent ones mean the same in this API. */
function meaning(value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 0 ? undefined : value.map(meaning);
  if (typeof value === "object" && value !== null) {
    const pairs = Object.entries(value)
      .map(([key, inner]) => [key, meaning(inner)] as const)
      .filter(([, inner]) => inner !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1));
    return pairs.length === 0 ? undefined : Object.fromEntries(pairs);
  }
  return value === null || value === "" || value === 0 || value === false ? undefined : value;
}
