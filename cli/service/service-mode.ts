// The API's ServiceMode from --mode, --replicas and --max-concurrent.
import type { Values } from "../args/values.js";
import { Failure } from "../cli.js";

export function mode(flags: Values): Record<string, unknown> {
  const name = flags.text("mode");
  const replicas = flags.has("replicas") ? { Replicas: flags.number("replicas") } : {};
  const isReplicated = name === "replicated" || name === "replicated-job";
  if (!isReplicated && flags.has("replicas")) {
    throw new Failure("replicas can only be used with replicated or replicated-job mode");
  }
  if (!isReplicated && flags.number("replicas-max-per-node") > 0) {
    throw new Failure(
      "replicas-max-per-node can only be used with replicated or replicated-job mode",
    );
  }
  if (name !== "replicated-job" && flags.has("max-concurrent")) {
    throw new Failure("max-concurrent can only be used with replicated-job mode");
  }
  switch (name) {
    case "replicated":
      return { Replicated: replicas };
    case "global":
      return { Global: {} };
    case "replicated-job": {
      const total = flags.has("replicas") ? { TotalCompletions: flags.number("replicas") } : {};
      const concurrent = flags.has("max-concurrent")
        ? { MaxConcurrent: flags.number("max-concurrent") }
        : flags.has("replicas")
          ? { MaxConcurrent: flags.number("replicas") }
          : {};
      return { ReplicatedJob: { ...concurrent, ...total } };
    }
    case "global-job":
      return { GlobalJob: {} };
    default:
      throw new Failure(`Unknown mode: ${name}, only replicated and global supported`);
  }
}
