// What lies in an archive of images: docker-archive (manifest.json names config and layers by path) or an
// OCI image layout (index.json names manifests by digest; OCI image-spec image-layout.md). What Docker 25
// and later write is both; then the layout leads, and manifest.json adds names.
import { posix } from "node:path";
import { type Descriptor, type Index, jsonObject, parseManifest, textMapOf } from "./manifest.js";

/** One image of manifest.json. */
export interface ArchivedImage {
  readonly config: string;
  readonly repoTags: readonly string[];
  readonly layers: readonly string[];
}

// Choice: `docker save` of every image of a large machine.
const IMAGES_MAX = 1_000;
const LINKS_MAX = 10;

/** A path of the archive, always relative and inside of it; undefined: it leads outside. */
export function archivePath(name: string): string | undefined {
  const path = posix.normalize(name).replace(/^\/+/, "").replace(/\/$/, "");
  return path === ".." || path.startsWith("../") || path.includes("\0") ? undefined : path;
}

/** Where a path leads, over links inside of the archive (older Dockers write a layer that is twice there so). */
export function followLinks(path: string, links: ReadonlyMap<string, string>): string | undefined {
  let at: string | undefined = archivePath(path);
  for (let i = 0; i < LINKS_MAX && at !== undefined; i++) {
    const next = links.get(at);
    if (next === undefined) return at;
    at = next;
  }
  return undefined;
}

/** Where a link leads: a symbolic one from its own folder, a hard one from the top. */
export function linkTarget(
  name: string,
  linkName: string,
  kind: "symlink" | "link",
): string | undefined {
  return archivePath(kind === "link" ? linkName : posix.join(posix.dirname(name), linkName));
}

export function blobDigest(path: string): string | undefined {
  const match = /^blobs\/sha256\/([0-9a-f]{64})$/.exec(path);
  return match ? `sha256:${match[1]}` : undefined;
}

/** manifest.json; a sentence says what is wrong with it. */
export function parseArchiveManifest(bytes: Uint8Array): readonly ArchivedImage[] | string {
  let list: unknown;
  try {
    list = JSON.parse(Buffer.from(bytes).toString("utf8"));
  } catch {
    return "its manifest.json is no JSON";
  }
  if (!Array.isArray(list) || list.length > IMAGES_MAX) {
    return `its manifest.json is no list, or has more than ${IMAGES_MAX} images`;
  }
  const images: ArchivedImage[] = [];
  for (const each of list) {
    const {
      Config: config,
      RepoTags: tags,
      Layers: layers,
    } = (each ?? {}) as Record<string, unknown>;
    const repoTags = tags ?? [];
    if (typeof config !== "string" || !isTexts(layers) || !isTexts(repoTags)) {
      return "its manifest.json describes no image";
    }
    images.push({ config, repoTags, layers });
  }
  return images;
}

/** The manifests that index.json names, each with the full names that it says. */
export function parseLayout(
  bytes: Uint8Array,
): readonly { readonly descriptor: Descriptor; readonly names: readonly string[] }[] | string {
  const parsed = parseManifest(bytes);
  if (typeof parsed === "string") return `its index.json cannot be used: ${parsed}`;
  if (parsed.kind !== "index") return "its index.json is no index";
  return parsed.manifests.map((each) => ({ descriptor: each, names: namesOf(each) }));
}

function namesOf({ annotations }: Index["manifests"][number]): readonly string[] {
  const { "io.containerd.image.name": full, "org.opencontainers.image.ref.name": short } =
    annotations;
  // The second is a tag only, for most who write it.
  if (full !== undefined) return [full];
  return short?.includes("/") || short?.includes(":") ? [short] : [];
}

/** Whether it is one of the small files that say what the others are. */
export function isArchiveText(path: string): boolean {
  return path === "manifest.json" || path === "index.json" || path === "oci-layout";
}

export function isLayout(bytes: Uint8Array | undefined): boolean {
  const json = bytes && jsonObject(bytes);
  return textMapOf(json)["imageLayoutVersion"]?.startsWith("1.") ?? false;
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((each) => typeof each === "string");
}
