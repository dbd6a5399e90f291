// A container in the foreground: its streams here, its signals there, its exit code ours. `run`,
// `start --attach` and `attach` share it.
import { type Cli, Failure } from "../cli.js";
import { reading } from "../http/failure.js";
import { number, parseJson, text } from "../json.js";
import { parseDetachKeys } from "../stream/detach-keys.js";
import { Session } from "../stream/session.js";
import { proxySignals } from "../stream/signals.js";
import { INTERRUPTED_EXIT } from "../term/interrupt.js";

export interface ForegroundOptions {
  readonly id: string;
  readonly tty: boolean;
  readonly stdin: boolean;
  readonly detachKeys: string;
  readonly sigProxy: boolean;
  readonly waitFor: "next-exit" | "removed" | "not-running";
  /** Also what it wrote before. */
  readonly logs?: boolean;
  /** Called once the streams and the wait are in place. */
  readonly begin: () => Promise<void>;
}

/** The exit code of what was run. */
export async function foreground(cli: Cli, options: ForegroundOptions): Promise<number> {
  const path = `/containers/${options.id}`;
  const detachKeys = parseDetachKeys(options.detachKeys);
  if (options.tty && options.stdin && !cli.input.isTerminal) {
    throw new Failure("the input device is not a TTY");
  }
  const gaveUp = new AbortController();
  let insisted = false;
  const socket = await cli.api.hijack(`${path}/attach`, {
    query: {
      ...(options.logs === true ? { logs: 1 } : {}),
      stderr: 1,
      ...(options.stdin ? { stdin: 1 } : {}),
      stdout: 1,
      stream: 1,
    },
  });
  const session = new Session(cli, socket, {
    tty: options.tty,
    stdin: options.stdin,
    detachKeys,
    resize: (h, w) => cli.api.post(`${path}/resize`, { query: { h, w } }),
  });
  const waiting = cli.api
    .stream("POST", `${path}/wait`, {
      query: { condition: options.waitFor },
      signal: gaveUp.signal,
    })
    .then(readExit);
  // Read again below; a container that fails to start must not leave a rejection behind.
  waiting.catch(() => undefined);
  const forget =
    options.sigProxy && !options.tty
      ? proxySignals(cli, options.id, {
          giveUp: () => {
            insisted = true;
            socket.destroy();
            gaveUp.abort();
          },
        })
      : () => undefined;
  try {
    await options.begin();
    if ((await session.run()) === "detached") {
      cli.err.write("read escape sequence\n");
      return 0;
    }
    return await waiting;
  } catch (error) {
    if (insisted) return INTERRUPTED_EXIT;
    throw error;
  } finally {
    forget();
    socket.destroy();
    gaveUp.abort();
  }
}

async function readExit(stream: AsyncIterable<Uint8Array>): Promise<number> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of reading(stream)) chunks.push(chunk);
  const answer = parseJson(Buffer.concat(chunks).toString("utf8"));
  const problem = text(answer, "Error", "Message");
  if (problem !== "") throw new Failure(`Error response from daemon: ${problem}`, 125);
  return number(answer, "StatusCode");
}
