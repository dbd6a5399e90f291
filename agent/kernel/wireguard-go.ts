// wireguard-go: WireGuard in a process of its own, for kernels without. Its UDP socket is where it was started, the
// underlay; its TUN device is moved from there to where it is wanted. It goes on when the agent ends or is killed, and
// the next agent finds it by its socket; it ends when its device is deleted.
import { type ChildProcess, spawn } from "node:child_process";
import {
  accessSync,
  closeSync,
  constants,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { errnoText } from "../../common/errno.js";
import { Fault } from "../../common/fault.js";
import type { DeviceChange, WireguardDevice } from "../overlay/wireguard.js";
import { decodeErrno, decodeGet, END, encodeSet, GET } from "../overlay/wireguard-uapi.js";
import { isAlive, killMarked, markOf, type ProcessMark } from "../runtime/processes.js";
import { NetlinkError } from "./netlink-socket.js";

export const PROGRAM = "wireguard-go";
// wireguard-go's ipc package has this folder built in.
const SOCKETS = "/var/run/wireguard";
// Choice: it answers within a millisecond; one that has not after this long hangs.
const ANSWER_MS = 5_000;
// Choice: it is there within 50 ms, and on a machine that is busy some seconds later.
const START_MS = 15_000;
const LOOK_MS = 10;
// Choice: what a person is shown of its last words.
const WORDS_BYTES = 400;

/** Its path; undefined: it is not installed. */
export function findProgram(path = process.env["PATH"] ?? ""): string | undefined {
  return path
    .split(":")
    .filter((folder) => folder.startsWith("/"))
    .map((folder) => join(folder, PROGRAM))
    .find(isProgram);
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export class WireguardGo {
  readonly #socket: string;
  readonly #pidPath: string;
  readonly #logPath: string;

  constructor(
    private readonly device: string,
    runDir: string,
  ) {
    this.#socket = join(SOCKETS, `${device}.sock`);
    this.#pidPath = join(runDir, "wireguard-go.pid");
    this.#logPath = join(runDir, "wireguard-go.log");
  }

  /** Undefined: it does not answer. */
  async get(): Promise<WireguardDevice | undefined> {
    try {
      return decodeGet(await this.#ask(GET));
    } catch {
      return undefined;
    }
  }

  /** Throws `NetlinkError` with its errno, as the kernel's does. */
  async set(change: DeviceChange): Promise<void> {
    const errno = decodeErrno(await this.#ask(encodeSet(change)));
    if (errno !== 0) throw new NetlinkError(errno ?? 0, `${PROGRAM}: ${errnoText(errno ?? 0)}`);
  }

  /** Resolves when it answers and `isThere` says that its device is. What an earlier one left is ended first. */
  async start(program: string, isThere: () => boolean): Promise<void> {
    await this.end();
    const log = openSync(this.#logPath, "w", 0o600);
    let ended: string | undefined;
    try {
      const child = spawn(program, ["-f", this.device], {
        detached: true,
        stdio: ["ignore", log, log],
        cwd: "/",
        env: { PATH: process.env["PATH"], LOG_LEVEL: "error", WG_PROCESS_FOREGROUND: "1" },
      });
      child.once("error", (error) => {
        ended = error.message;
      });
      child.once("exit", (code, signal) => {
        ended ??= signal ?? `exit code ${code}`;
      });
      this.#note(child);
      child.unref();
    } finally {
      closeSync(log);
    }
    const untilMs = performance.now() + START_MS;
    while (!isThere() || (await this.get()) === undefined) {
      if (ended === undefined && performance.now() < untilMs) {
        await sleep(LOOK_MS);
        continue;
      }
      await this.end();
      const why = `${PROGRAM} did not start: ${ended ?? "it does not answer"}. ${this.lastWords()}`;
      const fault = new Fault("WIREGUARD_GO_START", { device: this.device });
      fault.message = why.trim();
      throw fault;
    }
  }

  /** Ends the process that was written down, if it is still that one. */
  async end(): Promise<void> {
    const mark = this.#noted();
    if (mark !== undefined) {
      killMarked(mark);
      const untilMs = performance.now() + ANSWER_MS;
      while (isAlive(mark) && performance.now() < untilMs) await sleep(LOOK_MS);
    }
    rmSync(this.#pidPath, { force: true });
    rmSync(this.#socket, { force: true });
  }

  /** The end of what it last wrote, on one line. */
  lastWords(): string {
    try {
      const text = readFileSync(this.#logPath, "utf8").trim();
      return text.slice(-WORDS_BYTES).replaceAll(/\s*\n\s*/g, "; ");
    } catch {
      return "";
    }
  }

  #note(child: ChildProcess): void {
    const mark = child.pid === undefined ? undefined : markOf(child.pid);
    if (mark !== undefined) writeFileSync(this.#pidPath, JSON.stringify(mark), { mode: 0o600 });
  }

  #noted(): ProcessMark | undefined {
    try {
      const value: Partial<ProcessMark> = JSON.parse(readFileSync(this.#pidPath, "utf8"));
      const { pid, startTicks, bootId } = value;
      if (typeof pid !== "number" || typeof startTicks !== "string") return undefined;
      return typeof bootId === "string" ? { pid, startTicks, bootId } : undefined;
    } catch {
      return undefined;
    }
  }

  #ask(question: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = connect(this.#socket);
      let answer = "";
      socket.setTimeout(ANSWER_MS, () => socket.destroy(new Error(`${PROGRAM} does not answer`)));
      socket.setEncoding("latin1");
      socket.on("connect", () => socket.write(question));
      socket.on("data", (text: string) => {
        answer += text;
        if (!answer.endsWith(END)) return;
        socket.destroy();
        resolve(answer);
      });
      socket.on("error", reject);
      socket.on("close", () => reject(new Error(`${PROGRAM} has hung up`)));
    });
  }
}
