// What an image says about the containers made from it, filled in where a request says nothing: dockerd's
// rules (daemon/commit.go merge, daemon/create.go), so that a Dockerfile means the same here.
import type { ContainerSpec, HealthCheck, ImageConfig, Mount } from "../seams.js";
import { EMPTY_MOUNT } from "./container-spec.js";
import { DEFAULT_PATH } from "./environment.js";

export function withImageDefaults(spec: ContainerSpec, image: ImageConfig): ContainerSpec {
  const env = mergedEnv(spec.env, image.env);
  return {
    ...spec,
    ...command(spec, image),
    // As dockerd: a container has a PATH, whoever forgot it.
    env: env.some((each) => each.startsWith("PATH=")) ? env : [...env, `PATH=${DEFAULT_PATH}`],
    workingDir: spec.workingDir || image.workingDir,
    user: spec.user || image.user,
    labels: { ...image.labels, ...spec.labels },
    exposed: [...new Set([...spec.exposed, ...image.exposed])],
    mounts: [...spec.mounts, ...imageVolumes(spec.mounts, image.volumes)],
    stopSignal: spec.stopSignal || image.stopSignal,
    healthCheck: healthCheck(spec.healthCheck, image.healthCheck),
  };
}

/** Of a container without an image: nothing is filled in but what "none at all" stands for. */
export function withoutImage(spec: ContainerSpec): ContainerSpec {
  return {
    ...spec,
    entrypoint: isCleared(spec.entrypoint) ? [] : spec.entrypoint,
    healthCheck: healthCheck(spec.healthCheck, undefined),
  };
}

// An entrypoint of one's own, an empty one too, is not given the image's arguments.
function command(
  spec: ContainerSpec,
  image: ImageConfig,
): Pick<ContainerSpec, "entrypoint" | "command"> {
  if (isCleared(spec.entrypoint)) return { entrypoint: [], command: spec.command };
  if (spec.entrypoint.length > 0) return { entrypoint: spec.entrypoint, command: spec.command };
  return {
    entrypoint: image.entrypoint,
    command: spec.command.length > 0 ? spec.command : image.command,
  };
}

function isCleared(entrypoint: readonly string[]): boolean {
  return entrypoint.length === 1 && entrypoint[0] === "";
}

/** The request's own first, then what the image has and the request does not name. "NAME" alone takes one out. */
function mergedEnv(own: readonly string[], image: readonly string[]): readonly string[] {
  const nameOf = (setting: string) => setting.split("=", 1)[0];
  const named = new Set(own.map(nameOf));
  const inherited = image.filter((setting) => !named.has(nameOf(setting)));
  return [...own.filter((setting) => setting.includes("=")), ...inherited];
}

function imageVolumes(own: readonly Mount[], targets: readonly string[]): readonly Mount[] {
  const plain = (target: string) => target.replace(/\/+$/, "") || "/";
  const taken = new Set(own.map(({ target }) => plain(target)));
  return [...new Set(targets.map(plain))]
    .filter((target) => !taken.has(target))
    .map((target) => ({ ...EMPTY_MOUNT, kind: "volume" as const, target }));
}

/** A request may change the manner of the image's check and leave its command. */
function healthCheck(
  own: ContainerSpec["healthCheck"],
  image: HealthCheck | null | undefined,
): HealthCheck | null | undefined {
  if (own === null) return null;
  if (own === undefined) return image;
  if (image === null || image === undefined) return own.test.length > 0 ? own : undefined;
  return {
    test: own.test.length > 0 ? own.test : image.test,
    intervalMs: own.intervalMs || image.intervalMs,
    timeoutMs: own.timeoutMs || image.timeoutMs,
    retries: own.retries || image.retries,
    startPeriodMs: own.startPeriodMs || image.startPeriodMs,
    startIntervalMs: own.startIntervalMs || image.startIntervalMs,
  };
}
