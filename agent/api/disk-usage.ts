// /system/df: what images, containers and volumes take.
import { chainIdOf } from "../oci/digest.js";
import type { Image } from "../seams.js";
import { type Answer, json } from "./answer.js";
import type { Call } from "./call.js";
import { containerSummaryJson } from "./container-json.js";
import { sizesOf } from "./container-sizes.js";
import { badRequest } from "./http-error.js";
import { imageSummaryJson } from "./image-json.js";
import { type Route, route } from "./router.js";
import { goSeconds } from "./times.js";

export const DISK_USAGE_ROUTES: readonly Route[] = [route("GET", "/system/df", usage)];

const TYPES = ["container", "image", "volume", "build-cache"];

async function usage(call: Call): Promise<Answer> {
  const wanted = call.query.getAll("type");
  const wrong = wanted.find((type) => !TYPES.includes(type));
  if (wrong !== undefined) throw badRequest(`unknown object type: ${wrong}`);
  const wants = (type: string) => wanted.length === 0 || wanted.includes(type);
  const images = await call.node.images.list();
  const containers = call.node.containers.list();
  const sizes = wants("container") ? await sizesOf(call, containers) : [];
  const { own, all } = layersOf(images);
  return json({
    LayersSize: wants("image") ? all : 0,
    Images: wants("image")
      ? images.map((image) =>
          imageSummaryJson(image, call.version, {
            containers: containers.filter(({ imageId }) => imageId === image.id).length,
            sharedSize: image.sizeBytes - (own.get(image.id) ?? 0),
          }),
        )
      : null,
    Containers: wants("container")
      ? containers.map((each, i) => containerSummaryJson(each, call.clock.nowMs(), sizes[i]))
      : null,
    Volumes: wants("volume") ? volumesOf(call) : null,
    BuildCache: wants("build-cache") ? [] : null,
  });
}

/** The bytes that each image has alone, and those of all layers together. */
function layersOf(images: readonly Image[]) {
  const layers = new Map<string, { readonly bytes: number; users: number }>();
  const mine = images.map((image) => {
    const sizes = image.history.filter(({ emptyLayer }) => !emptyLayer);
    const list = image.layers.map((_, i) => ({
      chain: chainIdOf(image.layers.slice(0, i + 1)),
      bytes: sizes[i]?.sizeBytes ?? 0,
    }));
    for (const { chain, bytes } of list) {
      layers.set(chain, { bytes, users: (layers.get(chain)?.users ?? 0) + 1 });
    }
    return { id: image.id, list };
  });
  const own = new Map(
    mine.map(({ id, list }) => [
      id,
      list.reduce((sum, { chain, bytes }) => sum + (layers.get(chain)?.users === 1 ? bytes : 0), 0),
    ]),
  );
  return { own, all: [...layers.values()].reduce((sum, { bytes }) => sum + bytes, 0) };
}

function volumesOf(call: Call): readonly object[] {
  const mounts = call.node.containers.list().flatMap(({ mountPoints }) => mountPoints);
  return call.node.volumes.list().map((volume) => ({
    CreatedAt: goSeconds(volume.createdAtMs),
    Driver: volume.driver,
    Labels: volume.labels,
    Mountpoint: volume.mountpoint,
    Name: volume.name,
    Options: volume.options,
    Scope: "local",
    // Counting a volume's files would take as long as it is large; -1 says "not known".
    UsageData: { RefCount: mounts.filter(({ name }) => name === volume.name).length, Size: -1 },
  }));
}
