// skein start, and attaching to a container that runs.
import { type Cli, Failure } from "../cli.js";
import type { Handler } from "../command.js";
import { segment } from "../http/api.js";
import { at, flag, text } from "../json.js";
import { forEach } from "./each.js";
import { foreground } from "./foreground.js";

export const start: Handler = async (cli, { args, flags }) => {
  if (!flags.bool("attach") && !flags.bool("interactive")) {
    await startAll(cli, args);
    return 0;
  }
  if (args.length > 1) throw new Failure("you cannot start and attach multiple containers at once");
  const ref = args[0] ?? "";
  const container = await cli.api.get(`/containers/${segment("container", ref)}/json`);
  return foreground(cli, {
    id: text(container, "Id"),
    tty: flag(container, "Config", "Tty"),
    stdin: flags.bool("interactive") && flag(container, "Config", "OpenStdin"),
    detachKeys: flags.text("detach-keys"),
    sigProxy: true,
    waitFor: flag(container, "HostConfig", "AutoRemove") ? "removed" : "next-exit",
    begin: async () => {
      await cli.api.post(`/containers/${segment("container", ref)}/start`);
    },
  });
};

async function startAll(cli: Cli, refs: readonly string[]): Promise<void> {
  const failed: string[] = [];
  try {
    await forEach(cli, refs, async (ref) => {
      failed.push(ref);
      await cli.api.post(`/containers/${segment("container", ref)}/start`);
      failed.pop();
      return ref;
    });
  } catch (error) {
    if (!(error instanceof Failure) || failed.length === 0) throw error;
    throw new Failure(`${error.message}\nError: failed to start containers: ${failed.join(", ")}`);
  }
}

export interface AttachOptions {
  readonly stdin: boolean;
  readonly sigProxy: boolean;
  readonly detachKeys: string;
}

export async function attachToContainer(
  cli: Cli,
  ref: string,
  options: AttachOptions,
): Promise<number> {
  const container = await cli.api.get(`/containers/${segment("container", ref)}/json`);
  if (at(container, "State", "Running") !== true) {
    throw new Failure("cannot attach to a stopped container, start it first");
  }
  return foreground(cli, {
    id: text(container, "Id"),
    tty: flag(container, "Config", "Tty"),
    stdin: options.stdin && flag(container, "Config", "OpenStdin"),
    detachKeys: options.detachKeys,
    sigProxy: options.sigProxy,
    waitFor: "not-running",
    begin: () => Promise.resolve(),
  });
}
