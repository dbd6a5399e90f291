// From a request to a container that can be started: its image looked up and filled in, its volumes made,
// its file system prepared; or nothing of it left.
import { isRefusal, type Refusal, refuse } from "../../common/fault.js";
import type { ContainerSpec, Images, MountPoint } from "../seams.js";
import { withImageDefaults, withoutImage } from "../task/image-defaults.js";
import type { Runtime } from "../task/runtime.js";
import { checkFilled, hostnameOf } from "../task/spec.js";
import { NO_CONTAINERD, noSuchImage } from "../task/words.js";
import { runtimeOf, type StartTools } from "./container-start.js";

export interface MakeTools extends Omit<StartTools, "closing" | "running"> {
  readonly images: Images;
}

export interface Made {
  readonly spec: ContainerSpec;
  readonly imageId: string;
}

/** The request with what its image says. Makes nothing. */
export async function fillIn(spec: ContainerSpec, tools: MakeTools): Promise<Made | Refusal> {
  const made = spec.runtime === "process" ? ofProcess(spec) : await ofImage(spec, tools);
  if (isRefusal(made)) return made;
  return checkFilled(made.spec) ?? made;
}

function ofProcess(spec: ContainerSpec): Made {
  return { spec: withoutImage(spec), imageId: "" };
}

async function ofImage(spec: ContainerSpec, tools: MakeTools): Promise<Made | Refusal> {
  const lacking = tools.runtimes.containerd === undefined ? NO_CONTAINERD : tools.images.problem();
  if (lacking !== undefined) return lacking;
  if (spec.image === "") return refuse("invalid-argument", "no image was named");
  const image = await tools.images.get(spec.image);
  if (isRefusal(image)) return image.code === "not-found" ? noSuchImage(spec.image) : image;
  return { spec: withImageDefaults(spec, image.config), imageId: image.id };
}

/** What is there before any start. After a fault the runtime may have some of it, to be erased. */
export async function makeFiles(
  id: string,
  { spec, imageId }: Made,
  tools: MakeTools,
): Promise<readonly MountPoint[] | Refusal> {
  const runtime = runtimeOf(spec, tools.runtimes);
  if (isRefusal(runtime)) return runtime;
  const mountPoints = await tools.volumes.make(id, spec.mounts);
  if (isRefusal(mountPoints)) return mountPoints;
  try {
    const hostname = hostnameOf(id, spec);
    const toFill = await tools.volumes.toFill(mountPoints);
    // Without its mounts at first: what they will hide is what their volumes begin with.
    if (toFill.length > 0) {
      await runtime.create({ id, spec, hostname, imageId, mountPoints: [] });
      await fillVolumes(id, runtime, toFill, tools);
    }
    await runtime.create({ id, spec, hostname, imageId, mountPoints });
  } catch (error) {
    await tools.volumes.drop(mountPoints).catch(() => undefined);
    throw error;
  }
  return mountPoints;
}

/** A new volume begins with what the image has where it is mounted. */
async function fillVolumes(
  id: string,
  runtime: Runtime,
  toFill: readonly MountPoint[],
  tools: MakeTools,
): Promise<void> {
  for (const point of toFill) {
    const found = await runtime.paths.read(id, point.mount.target);
    // The image has nothing there.
    if (isRefusal(found)) continue;
    await tools.volumes.fill(point, found.tar);
  }
}
