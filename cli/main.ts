#!/usr/bin/env node
// The process: real streams, real signals, and a quiet end when the reader of a pipe goes away.
import type { Cli, Output } from "./cli.js";
import { Api } from "./http/api.js";
import { socketPath } from "./http/endpoint.js";
import { skein } from "./skein.js";

function output(stream: NodeJS.WriteStream): Output {
  // `skein ps | head -1`: nobody reads any more, so there is nothing left to do or to say.
  stream.on("error", (error: NodeJS.ErrnoException) => {
    process.exit(error.code === "EPIPE" ? 0 : 1);
  });
  return {
    write: (data) => void stream.write(data),
    drained: () =>
      new Promise((resolve) => {
        if (stream.writableNeedDrain) stream.once("drain", () => resolve());
        else resolve();
      }),
    get isTerminal() {
      return stream.isTTY === true;
    },
    // A terminal that does not know its size says 0.
    get columns() {
      return stream.columns || 80;
    },
    get rows() {
      return stream.rows || 24;
    },
  };
}

const out = output(process.stdout);
const err = output(process.stderr);

function makeCli(host: string): Cli {
  return {
    out,
    err,
    input: {
      // A getter: touching process.stdin opens it, and most commands never read.
      get stream() {
        return process.stdin;
      },
      get isTerminal() {
        return process.stdin.isTTY === true;
      },
      setRaw: (on) => void process.stdin.setRawMode(on),
      setRawOutput,
    },
    api: new Api(() => socketPath(host, process.env)),
    env: process.env,
    nowMs: () => Date.now(),
    onSignal: (name, handler) => {
      process.on(name, handler);
      return () => void process.off(name, handler);
    },
  };
}

/** Node leaves the output as it is (libuv's UV_TTY_MODE_RAW), and restores all of it in the end. */
function setRawOutput(): void {
  // Most commands need no other program, and are to start quickly.
  const { spawnSync } = process.getBuiltinModule("node:child_process");
  spawnSync("stty", ["-opost"], { stdio: ["inherit", "ignore", "ignore"] });
}

const exitCode = await skein(process.argv.slice(2), makeCli);
// Streams that are still open (stdin, a followed log) must not keep a finished command alive.
process.stdout.write("", () => process.stderr.write("", () => process.exit(exitCode)));
