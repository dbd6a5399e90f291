// Importing: a tar of a file system becomes the only layer of a new image. It is stored uncompressed, so
// that its digest is its diff id.
import { isRefusal, Refused } from "../../common/fault.js";
import { changedConfig } from "../oci/changes.js";
import { digestOf } from "../oci/digest.js";
import { configJson, EMPTY_CONFIG } from "../oci/image-config.js";
import { type Manifest, MEDIA } from "../oci/manifest.js";
import type { PlatformWish } from "../seams.js";
import type { Chunks } from "./blobs.js";
import { decompressed } from "./decompress.js";
import { encoded } from "./load.js";
import type { ImageStore, Target } from "./store.js";

export interface ImportOptions {
  readonly message: string;
  readonly changes: readonly string[];
  readonly platform: PlatformWish | undefined;
  readonly nowMs: number;
}

export async function importImage(
  store: ImageStore,
  tar: Chunks,
  options: ImportOptions,
  lease: string,
  signal: AbortSignal,
): Promise<{ readonly id: string; readonly target: Target }> {
  // A wrong change is said before anything is read.
  const config = changedConfig(EMPTY_CONFIG, options.changes);
  if (isRefusal(config)) throw new Refused(config);
  const layer = await store.blobs.write(
    {
      ref: `import-${lease}`,
      digest: undefined,
      size: undefined,
      labels: {},
      source: await decompressed(tar),
    },
    lease,
    signal,
  );
  await store.holdBlob(layer.digest, lease);
  const descriptor = { mediaType: MEDIA.ociLayer, ...layer };
  await store.snapshots.unpack([{ descriptor, diffId: layer.digest }], lease, signal);
  const platform = options.platform ?? store.platform;
  const created = new Date(options.nowMs).toISOString();
  const blob = Buffer.from(
    JSON.stringify({
      architecture: platform.architecture,
      ...(platform.variant !== "" && { variant: platform.variant }),
      os: platform.os,
      comment: options.message,
      created,
      config: configJson(config),
      rootfs: { type: "layers", diff_ids: [layer.digest] },
      history: [{ created, comment: options.message }],
    }),
  );
  const id = digestOf(blob);
  await store.blobs.put(blob, id, {}, lease);
  await store.holdSnapshots(id, [layer.digest]);
  const manifest: Manifest = {
    kind: "manifest",
    mediaType: MEDIA.ociManifest,
    config: { mediaType: MEDIA.ociConfig, digest: id, size: blob.length },
    layers: [descriptor],
  };
  const target = await store.putManifest(encoded(manifest), MEDIA.ociManifest, lease);
  return { id, target: { target, manifestDigest: target.digest } };
}
