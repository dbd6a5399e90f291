// Commands run beside a container's own, in its sandbox.
import { Duplex, Readable, Writable } from "node:stream";
import { isRefusal, type Refusal } from "../../common/fault.js";
import type { ExecSpec, ExecState } from "../seams.js";
import { encodeFrame, STDOUT } from "../task/stdio-frame.js";
import { type Answer, empty, json } from "./answer.js";
import { type Call, param } from "./call.js";
import { streamType } from "./container-streams.js";
import { terminalSize } from "./containers.js";
import { here, refusedHere, unserved } from "./http-error.js";
import { consoleSizeIn, flagIn, objectOf, textIn, textsIn, wordsIn } from "./json.js";
import { type Route, route } from "./router.js";

export const EXEC_ROUTES: readonly Route[] = [
  route("POST", "/containers/{id}/exec", create),
  route("POST", "/exec/{id}/start", start),
  route("POST", "/exec/{id}/resize", resize),
  route("GET", "/exec/{id}/json", (call) =>
    json(execJson(here(call.node.containers.getExec(param(call, "id"))))),
  ),
];

async function create(call: Call): Promise<Answer> {
  const body = objectOf(await call.body(), "exec create request");
  if (flagIn(body, "Privileged")) throw unserved("privileged mode is");
  const id = await call.node.containers.createExec(param(call, "id"), {
    command: wordsIn(body, "Cmd"),
    env: textsIn(body, "Env"),
    workingDir: textIn(body, "WorkingDir"),
    user: textIn(body, "User"),
    tty: flagIn(body, "Tty"),
    consoleSize: consoleSizeIn(body),
    attachStdin: flagIn(body, "AttachStdin"),
    attachStdout: flagIn(body, "AttachStdout"),
    attachStderr: flagIn(body, "AttachStderr"),
  });
  return json({ Id: here(id) }, 201);
}

async function start(call: Call): Promise<Answer> {
  const id = param(call, "id");
  const body = objectOf(await call.body(), "exec start request");
  const { spec } = here(call.node.containers.getExec(id));
  const isDetached = flagIn(body, "Detach");
  const duplex = await call.node.containers.startExec(id);
  if (isRefusal(duplex)) {
    if (isDetached || !hasEnded(call, id)) throw refusedHere(duplex);
    return { kind: "hijack", contentType: streamType(call, spec.tty), stream: said(duplex, spec) };
  }
  if (isDetached) {
    // Read to its end so that the command never waits for a reader.
    duplex.on("error", () => undefined).resume();
    duplex.end();
    return empty(200);
  }
  if (!spec.attachStdin) duplex.end();
  return { kind: "hijack", contentType: streamType(call, spec.tty), stream: duplex };
}

/** Whether it was tried: then it has an exit code, 126 or 127. */
function hasEnded(call: Call, id: string): boolean {
  const { running, exitCode } = here(call.node.containers.getExec(id));
  return !running && exitCode !== 0;
}

/** As dockerd: why a command cannot be run is its only output, and clients go on to ask for its exit code. */
function said({ message }: Refusal, { tty }: ExecSpec): Duplex {
  const text = Buffer.from(`${message}\r\n`);
  const output = tty ? text : encodeFrame(STDOUT, text);
  return Duplex.from({
    readable: Readable.from([output], { objectMode: false }),
    writable: new Writable({ write: (_chunk, _encoding, done) => done() }),
  });
}

async function resize(call: Call): Promise<Answer> {
  const { rows, columns } = terminalSize(call);
  here(await call.node.containers.resizeExec(param(call, "id"), rows, columns));
  return empty(200);
}

function execJson(exec: ExecState): object {
  const [entrypoint = "", ...args] = exec.spec.command;
  return {
    ID: exec.id,
    Running: exec.running,
    ExitCode: exec.running ? null : exec.exitCode,
    ProcessConfig: {
      tty: exec.spec.tty,
      entrypoint,
      arguments: args,
      privileged: false,
      ...(exec.spec.user === "" ? {} : { user: exec.spec.user }),
    },
    OpenStdin: exec.spec.attachStdin,
    OpenStderr: exec.spec.attachStderr,
    OpenStdout: exec.spec.attachStdout,
    CanRemove: !exec.running,
    ContainerID: exec.containerId,
    DetachKeys: "",
    Pid: exec.pid,
  };
}
