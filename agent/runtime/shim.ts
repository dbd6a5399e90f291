// The supervisor of one container: a small process of its own that outlives the agent. It makes the
// container's namespaces, starts the command, keeps its log, lends its input and output to whoever
// attaches, and writes down how it ended. Run as: shim.js RUN_FOLDER STATE_FOLDER LIFE
//
// It imports little, so that it starts quickly and stays small; it never sees a network but through the
// descriptors it holds, and it says nothing of what passes through it.
import { rmSync } from "node:fs";
import { createServer } from "node:net";
import { messageOf } from "../../common/fault.js";
import type { Exit } from "../task/runtime.js";
import { exitCodeOf } from "../task/signals.js";
import { type Child, type Command, launch } from "./launcher.js";
import { LogWriter } from "./log-writer.js";
import { Namespaces, type NamespaceWish } from "./namespaces.js";
import { Outlet } from "./outlet.js";
import { markOf } from "./processes.js";
import { type Asker, ShimConnection } from "./shim-connection.js";
import { socketPath, writeExit, writeStarted } from "./shim-files.js";
import type { Notice } from "./shim-protocol.js";

const [run = "", state = "", lifeText = ""] = process.argv.slice(2);
const folders = { run, state };
const life = Number(lifeText);

// Choice: an agent that started us and then died is not coming back for what never ran.
const UNUSED_MS = 15_000;
// Choice: after the end only what the pipes hold is left to read; this is far more than it takes.
const DRAIN_MS = 5_000;
// Choice: how long the last bytes may take to reach those who are attached; as for one who is slow.
const FAREWELL_MS = 60_000;

const connections = new Set<ShimConnection>();
let namespaces: Namespaces | undefined;
let child: Child | undefined;
let startedAtMs = 0;
const output = new Outlet();

// The agent decides when a container stops; a signal meant for the whole machine's shells does not.
for (const name of ["SIGHUP", "SIGINT", "SIGTERM", "SIGPIPE"] as const) process.on(name, () => {});

const asker: Asker = {
  output,
  status: () => ({ event: "status", life, pid: child?.pid ?? 0, atMs: startedAtMs }),
  input: () => child?.input,
  isStarted: () => child !== undefined,
  isTerminal: () => child !== undefined && child.stderr === undefined,
  resize: (rows, columns) => child?.resize(rows, columns),
  go: (command, wish) => go(command, wish),
  exec: async (command) => {
    if (namespaces === undefined || child === undefined) {
      return { kind: "failed", exitCode: 126, message: "the container is not running" };
    }
    return launch(command, namespaces);
  },
  signal: (number) => {
    if (child === undefined) throw new Error("the container is not running");
    process.kill(child.pid, number);
  },
  destroy: () => {
    if (child === undefined) leave();
    else namespaces?.holder.kill("SIGKILL");
  },
};

const server = createServer((socket) => {
  const connection = new ShimConnection(socket, asker);
  connections.add(connection);
  socket.on("close", () => {
    connections.delete(connection);
    leaveIfUnused();
  });
});
rmSync(socketPath(folders), { force: true });
process.umask(0o077);
server.listen(socketPath(folders), () => process.stdout.write("ready\n"));
// Who waited for "ready" may be gone by now.
process.stdout.on("error", () => {});
leaveIfUnused();

async function go(command: Command, wish: NamespaceWish): Promise<Notice> {
  if (namespaces !== undefined) return { event: "failed", exitCode: 128, message: "started twice" };
  process.umask(0o022);
  namespaces = Namespaces.make(wish);
  const launched = await launch(command, namespaces);
  if (launched.kind === "failed") {
    const { exitCode, message } = launched;
    namespaces.holder.kill("SIGKILL");
    setImmediate(() => void farewell());
    return { event: "failed", exitCode, message };
  }
  child = launched.child;
  startedAtMs = Date.now();
  const [shim, holder] = [markOf(process.pid), markOf(namespaces.holder.pid ?? 0)];
  if (shim && holder) writeStarted(folders, { life, atMs: startedAtMs, shim, holder });
  supervise(child, namespaces);
  for (const connection of connections) connection.started();
  return { event: "started", pid: child.pid, atMs: startedAtMs };
}

function supervise(running: Child, made: Namespaces): void {
  const log = new LogWriter(folders.state);
  const now = () => performance.timeOrigin + performance.now();
  const drained = output.carry(running, (stream, chunk) => log.write(stream, chunk, now()));
  running.process.once("exit", (code, signal) => {
    const exitCode = exitCodeOf(code, signal);
    // The rest of the container ends with its command, as a container's does.
    made.holder.kill("SIGKILL");
    output.hurry();
    void Promise.race([drained, afterMs(DRAIN_MS)]).then(() => {
      log.close(now());
      if (log.lost > 0) console.error(JSON.stringify({ msg: "log lines lost", count: log.lost }));
      end({ exitCode, error: "", atMs: Date.now() });
    });
  });
}

function end(exit: Exit): void {
  try {
    writeExit(folders, life, exit);
  } catch (error) {
    // The agent still hears it from us if it is there.
    console.error(JSON.stringify({ msg: "exit not recorded", err: messageOf(error) }));
  }
  for (const connection of connections) connection.notify({ event: "exited", exit });
  // In the same turn, so that nothing of this happens in between.
  void farewell();
}

async function farewell(): Promise<void> {
  // The socket's file goes with it, before the agent hears of the end and may start the next life there.
  server.close();
  const closed = [...connections].map((connection) => connection.end());
  await Promise.race([Promise.all(closed), afterMs(FAREWELL_MS)]);
  leave();
}

function leaveIfUnused(): void {
  if (child !== undefined || connections.size > 0) return;
  setTimeout(() => {
    if (child === undefined && connections.size === 0) leave();
  }, UNUSED_MS).unref();
}

function leave(): never {
  if (server.listening) server.close();
  process.exit(0);
}

function afterMs(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms));
}
