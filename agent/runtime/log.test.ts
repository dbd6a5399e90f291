import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { decodeLogLine, formatTime, LOG_LINE_BYTES_MAX } from "./log-format.js";
import { type ReadLogs, readLogs } from "./log-reader.js";
import { LogWriter } from "./log-writer.js";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "skein-log-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const ended = AbortSignal.abort();
const never = new AbortController().signal;
const T0 = Date.UTC(2026, 10, 21);

async function read(options: Partial<ReadLogs> = {}): Promise<string[]> {
  const all = { stdout: true, stderr: true, follow: false, timestamps: false, tail: undefined };
  const lines: string[] = [];
  const wanted = { ...all, sinceMs: 0, untilMs: 0, tty: true, ended, ...options };
  for await (const chunk of readLogs(folder, wanted, never)) lines.push(chunk.toString());
  return lines;
}

test("a time has nine digits of a second", () => {
  expect(formatTime(T0 + 5.25)).toBe("2026-11-21T00:00:00.005250000Z");
});

test("what is no line of a log is none", () => {
  for (const text of ["", "x", "null", "[]", '{"log":1}', '{"log":"a","stream":"x","time":""}']) {
    expect(decodeLogLine(text)).toBeUndefined();
  }
});

describe("written and read", () => {
  test("lines of two streams that come in pieces do not mix", async () => {
    const log = new LogWriter(folder);
    log.write("stdout", Buffer.from("a"), T0);
    log.write("stderr", Buffer.from("x\ny"), T0 + 1);
    log.write("stdout", Buffer.from("b\nc\n"), T0 + 2);
    log.close(T0 + 3);
    expect(await read()).toEqual(["x\n", "ab\n", "c\n", "y"]);
    expect(await read({ stderr: false })).toEqual(["ab\n", "c\n"]);
    expect(await read({ sinceMs: T0 + 2 })).toEqual(["ab\n", "c\n", "y"]);
    expect(await read({ untilMs: T0 + 1 })).toEqual(["x\n"]);
    expect(await read({ tail: 0 })).toEqual([]);
  });

  test("a line that is too long is kept in parts, between characters", async () => {
    const log = new LogWriter(folder);
    const line = `${"x".repeat(LOG_LINE_BYTES_MAX - 1)}${"é".repeat(10)}\n`;
    log.write("stdout", Buffer.from(line), T0);
    log.close(T0);
    const parts = await read();
    expect(parts).toHaveLength(2);
    expect(parts.join("")).toBe(line);
  });

  test("old files go, and what is left is read in order", async () => {
    const log = new LogWriter(folder, 1_000, 3);
    for (let i = 0; i < 100; i++) log.write("stdout", Buffer.from(`${i}\n`), T0);
    log.close(T0);
    expect(readdirSync(folder).sort()).toEqual(["log.json", "log.json.1", "log.json.2"]);
    const numbers = (await read()).map(Number);
    expect(numbers.at(-1)).toBe(99);
    numbers.reduce((before, next) => {
      expect(next).toBe(before + 1);
      return next;
    });
  });

  test("a follower sees every line across rotations", async () => {
    // Kept all: a follower on a busy machine may be late, and what was rotated away is gone.
    const log = new LogWriter(folder, 2_000, 10);
    const over = new AbortController();
    const following = read({ follow: true, ended: over.signal });
    for (let i = 0; i < 200; i++) {
      log.write("stdout", Buffer.from(`${i}\n`), T0);
      if (i % 10 === 9) await new Promise((resolve) => setTimeout(resolve, 5));
    }
    log.close(T0);
    over.abort();
    expect((await following).map(Number)).toEqual(Array.from({ length: 200 }, (_, i) => i));
  });
});
