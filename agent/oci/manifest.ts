// Manifests and indexes, OCI's and Docker's (OCI image-spec manifest.md, image-index.md; the Docker forms
// differ in their media types only). Foreign bytes: bounded, and every field is looked at.
import type { PlatformWish } from "../seams.js";
import { isDigest } from "./digest.js";

export const MEDIA = {
  ociIndex: "application/vnd.oci.image.index.v1+json",
  dockerIndex: "application/vnd.docker.distribution.manifest.list.v2+json",
  ociManifest: "application/vnd.oci.image.manifest.v1+json",
  dockerManifest: "application/vnd.docker.distribution.manifest.v2+json",
  ociConfig: "application/vnd.oci.image.config.v1+json",
  dockerConfig: "application/vnd.docker.container.image.v1+json",
  ociLayer: "application/vnd.oci.image.layer.v1.tar",
  ociLayerGzip: "application/vnd.oci.image.layer.v1.tar+gzip",
  ociLayerZstd: "application/vnd.oci.image.layer.v1.tar+zstd",
  dockerLayer: "application/vnd.docker.image.rootfs.diff.tar",
  dockerLayerGzip: "application/vnd.docker.image.rootfs.diff.tar.gzip",
} as const;

/** The distribution-spec wants registries to take manifests of at least 4 MiB; clients refuse longer ones. */
export const MANIFEST_BYTES_MAX = 4 * 1024 * 1024;
// Docker's limit on layers is 127 (overlay2); an index names a few dozen manifests.
const LAYERS_MAX = 127;
const MANIFESTS_MAX = 512;
// Choice: no layer is larger, and the numbers stay exact.
const BLOB_BYTES_MAX = 2 ** 46;
/** A config lists the history of at most 127 layers; containerd's own limit is 8 MiB. */
export const CONFIG_BYTES_MAX = 8 * 1024 * 1024;

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

export interface Manifest {
  readonly kind: "manifest";
  readonly mediaType: string;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

export interface Index {
  readonly kind: "index";
  readonly mediaType: string;
  readonly manifests: readonly (Descriptor & {
    readonly platform: PlatformWish | undefined;
    readonly annotations: Readonly<Record<string, string>>;
  })[];
}

/** A sentence says what is wrong with it. */
export function parseManifest(bytes: Uint8Array): Manifest | Index | string {
  if (bytes.length > MANIFEST_BYTES_MAX) return `it is longer than ${MANIFEST_BYTES_MAX} bytes`;
  const json = jsonObject(bytes);
  if (json === undefined) return "it is not a JSON object";
  if (json["schemaVersion"] !== 2) {
    return "its schema version is not 2 (images of Docker before 1.10 cannot be used any more; push it again with a newer Docker)";
  }
  const mediaType = typeof json["mediaType"] === "string" ? json["mediaType"] : "";
  return "manifests" in json ? indexOf(json, mediaType) : manifestOf(json, mediaType);
}

function manifestOf(json: Record<string, unknown>, said: string): Manifest | string {
  const mediaType = said || MEDIA.ociManifest;
  if (mediaType !== MEDIA.ociManifest && mediaType !== MEDIA.dockerManifest) {
    return `its media type "${mediaType.slice(0, 100)}" is not an image's`;
  }
  const config = descriptorOf(json["config"]);
  if (config === undefined || config.size > CONFIG_BYTES_MAX) return "its config is not described";
  const list = json["layers"];
  if (!Array.isArray(list) || list.length > LAYERS_MAX) {
    return `it has no list of layers, or more than ${LAYERS_MAX}`;
  }
  const layers = list.map(descriptorOf);
  if (!layers.every((each) => each !== undefined)) return "a layer is not described";
  return { kind: "manifest", mediaType, config, layers };
}

function indexOf(json: Record<string, unknown>, said: string): Index | string {
  const mediaType = said || MEDIA.ociIndex;
  if (!isIndexType(mediaType)) return `its media type "${mediaType.slice(0, 100)}" is no index's`;
  const list = json["manifests"];
  if (!Array.isArray(list) || list.length > MANIFESTS_MAX) {
    return `it has no list of manifests, or more than ${MANIFESTS_MAX}`;
  }
  const manifests: Index["manifests"][number][] = [];
  for (const each of list) {
    const descriptor = descriptorOf(each);
    if (descriptor === undefined) return "a manifest is not described";
    const { platform, annotations } = each as Record<string, unknown>;
    manifests.push({
      ...descriptor,
      platform: platformOf(platform),
      annotations: textMapOf(annotations),
    });
  }
  return { kind: "index", mediaType, manifests };
}

export function isIndexType(mediaType: string): boolean {
  return mediaType === MEDIA.ociIndex || mediaType === MEDIA.dockerIndex;
}

/** Whether a layer of this kind can be unpacked; foreign ones (Windows) are not in the registry at all. */
export function isLayerType(mediaType: string): boolean {
  return [
    MEDIA.ociLayer,
    MEDIA.ociLayerGzip,
    MEDIA.ociLayerZstd,
    MEDIA.dockerLayer,
    MEDIA.dockerLayerGzip,
  ].some((known) => known === mediaType);
}

function descriptorOf(value: unknown): Descriptor | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { mediaType, digest, size } = value as Record<string, unknown>;
  if (typeof mediaType !== "string" || mediaType.length > 255) return undefined;
  if (typeof digest !== "string" || !isDigest(digest)) return undefined;
  if (typeof size !== "number" || !Number.isInteger(size) || size < 0 || size > BLOB_BYTES_MAX) {
    return undefined;
  }
  return { mediaType, digest, size };
}

function platformOf(value: unknown): PlatformWish | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { os, architecture, variant } = value as Record<string, unknown>;
  if (typeof os !== "string" || typeof architecture !== "string") return undefined;
  return { os, architecture, variant: typeof variant === "string" ? variant : "" };
}

export function textMapOf(value: unknown): Readonly<Record<string, string>> {
  if (typeof value !== "object" || value === null) return {};
  return Object.fromEntries(
    Object.entries(value).filter((pair): pair is [string, string] => typeof pair[1] === "string"),
  );
}

export function jsonObject(bytes: Uint8Array): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
    return value as Record<string, unknown>;
  } catch {
    return undefined;
  }
}
