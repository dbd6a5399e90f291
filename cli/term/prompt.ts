// Questions to the person.
import type { Cli } from "../cli.js";

/** "y" or "yes" is yes; anything else, also the end of input, is no. */
export async function confirm(cli: Cli, question: string): Promise<boolean> {
  cli.out.write(`${question} [y/N] `);
  const answer = (await readLine(cli)).trim().toLowerCase();
  cli.out.write("\n");
  return answer === "y" || answer === "yes";
}

/** One line of input, not shown while it is typed. */
export async function askSecret(cli: Cli, question: string): Promise<string> {
  if (!cli.input.isTerminal) return readLine(cli);
  cli.out.write(question);
  cli.input.setRaw(true);
  try {
    return await readLine(cli);
  } finally {
    cli.input.setRaw(false);
    cli.out.write("\n");
  }
}

const INTERRUPT_KEY = "\u0003";
const ERASE_KEY = "\u007f";

async function readLine(cli: Cli): Promise<string> {
  let line = "";
  for await (const chunk of cli.input.stream) {
    for (const key of String(chunk)) {
      if (key === "\n" || key === "\r" || key === INTERRUPT_KEY) return line;
      line = key === ERASE_KEY ? line.slice(0, -1) : line + key;
    }
  }
  return line;
}
