// "Still at it": a line on a terminal while something takes long; nothing at all in a pipe.
import type { Cli } from "../cli.js";

// Choice: what is done sooner than this needs no progress.
const QUIET_MS = 400;
const STEP_MS = 120;
const SPINNER = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const CLEAR_LINE = "\r\u001b[K";

export async function withProgress<T>(cli: Cli, text: string, work: Promise<T>): Promise<T> {
  if (!cli.err.isTerminal || cli.env["TERM"] === "dumb") return work;
  const startMs = cli.nowMs();
  let step = 0;
  let shown = false;
  const timer = setInterval(() => {
    const passedMs = cli.nowMs() - startMs;
    if (passedMs < QUIET_MS) return;
    shown = true;
    const seconds = Math.floor(passedMs / 1000);
    cli.err.write(`${CLEAR_LINE}${SPINNER[step++ % SPINNER.length]} ${text} (${seconds} s)`);
  }, STEP_MS);
  try {
    return await work;
  } finally {
    clearInterval(timer);
    if (shown) cli.err.write(CLEAR_LINE);
  }
}
