// One command line against an agent that answers as told.
import { type Exchange, FakeAgent } from "./fake-agent.js";
import { type RunOptions, type RunResult, run } from "./run.js";

/** `body`: the text itself, or what is to be said as JSON. */
export function answer(method: string, path: string, body: unknown, status = 200): Exchange {
  return { method, path, status, body: typeof body === "string" ? body : JSON.stringify(body) };
}

/** What came of it, and what the agent has heard. */
export async function ask(
  exchanges: readonly Exchange[],
  words: readonly string[],
  options: RunOptions = {},
): Promise<RunResult & Pick<FakeAgent, "heard">> {
  const agent = await FakeAgent.start({ exchanges });
  try {
    const result = await run(words, { socket: agent.socketPath, ...options });
    return { ...result, heard: agent.heard };
  } finally {
    await agent.stop();
  }
}
