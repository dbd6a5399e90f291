// Does one thing to every argument: the names of those that went well go to stdout, what went wrong
// with the others to stderr, together and at the end, as docker does.
import { type Cli, Failure } from "../cli.js";

export async function forEach(
  cli: Cli,
  refs: readonly string[],
  act: (ref: string) => Promise<string | undefined>,
): Promise<void> {
  const problems: string[] = [];
  for (const ref of refs) {
    try {
      const shown = await act(ref);
      if (shown !== undefined) cli.out.write(`${shown}\n`);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      problems.push(error.message);
    }
  }
  if (problems.length > 0) throw new Failure(problems.join("\n"));
}
