// An image → Docker's ImageInspect, ImageSummary and HistoryResponseItem (engine-api.yaml).
import { configJson } from "../oci/image-config.js";
import type { Image } from "../seams.js";
import { goTime } from "./times.js";
import type { ApiMinor } from "./version.js";

// Until then a nameless image had the name "<none>:<none>"; and until the other, a size of its own and
// its parents'.
const NO_NONE_SINCE: ApiMinor = 43;
const NO_VIRTUAL_SIZE_SINCE: ApiMinor = 44;

export function imageSummaryJson(
  image: Image,
  version: ApiMinor,
  extra: { readonly containers: number; readonly sharedSize: number },
): object {
  const old = version < NO_NONE_SINCE;
  const [repository = "<none>"] = (image.digests[0] ?? "").split("@").filter((part) => part !== "");
  const none = old && image.tags.length === 0;
  return {
    Containers: extra.containers,
    Created: Math.floor(image.createdAtMs / 1_000),
    Id: image.id,
    Labels: Object.keys(image.config.labels).length === 0 ? null : image.config.labels,
    ParentId: "",
    RepoDigests: old && image.digests.length === 0 && none ? ["<none>@<none>"] : [...image.digests],
    RepoTags: none ? [`${repository}:<none>`] : [...image.tags],
    SharedSize: extra.sharedSize,
    Size: image.sizeBytes,
    ...(version < NO_VIRTUAL_SIZE_SINCE && { VirtualSize: image.sizeBytes }),
  };
}

export function imageJson(image: Image, version: ApiMinor): object {
  return {
    Id: image.id,
    RepoTags: [...image.tags],
    RepoDigests: [...image.digests],
    Parent: "",
    Comment: image.comment,
    Created: goTime(image.createdAtMs),
    DockerVersion: "",
    Author: image.author,
    Config: configJson(image.config),
    Architecture: image.architecture,
    ...(image.variant !== "" && { Variant: image.variant }),
    Os: image.os,
    Size: image.sizeBytes,
    ...(version < NO_VIRTUAL_SIZE_SINCE && { VirtualSize: image.sizeBytes }),
    GraphDriver: { Data: null, Name: "overlayfs" },
    RootFS: { Type: "layers", Layers: [...image.layers] },
    Metadata: { LastTagTime: goTime(0) },
  };
}

/** Newest first; only the last step is an image here. */
export function historyJson(image: Image): readonly object[] {
  return [...image.history].reverse().map((step, i) => ({
    Comment: step.comment,
    Created: Math.floor(step.createdAtMs / 1_000),
    CreatedBy: step.createdBy,
    Id: i === 0 ? image.id : "<missing>",
    Size: step.sizeBytes,
    Tags: i === 0 && image.tags.length > 0 ? [...image.tags] : null,
  }));
}
