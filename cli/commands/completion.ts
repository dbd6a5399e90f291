// skein completion.
import { Failure } from "../cli.js";
import type { Handler } from "../command.js";
import { completionScripts } from "../completion/scripts.js";

export const completion: Handler = async (cli, { args }) => {
  const shell = args[0] ?? "";
  const script = completionScripts[shell];
  if (script === undefined) throw new Failure(`unknown shell ${shell}: expected bash, zsh or fish`);
  cli.out.write(script);
  return 0;
};
