// Loading an archive: every file goes straight into the content store as it comes, and only when all is
// there (an archive may name its layers before or after saying what they are) are images made of it. All
// is held by one lease, so that what makes no image is collected.
import { isRefusal, Refused, refuse } from "../../common/fault.js";
import {
  type ArchivedImage,
  archivePath,
  blobDigest,
  followLinks,
  isArchiveText,
  isLayout,
  linkTarget,
  parseArchiveManifest,
  parseLayout,
} from "../oci/archive.js";
import { shortDigest } from "../oci/digest.js";
import { type Descriptor, MANIFEST_BYTES_MAX, type Manifest, MEDIA } from "../oci/manifest.js";
import { fullText, parseTagged } from "../oci/reference.js";
import type { Progress } from "../seams.js";
import type { Chunks } from "./blobs.js";
import { type Compression, decompressed, sniff, unreadable } from "./decompress.js";
import type { ImageStore, Target } from "./store.js";
import { broken, type TarEntry, tarEntries } from "./tar.js";

export interface Loaded {
  readonly id: string;
  /** In full; empty: it has none. */
  readonly names: readonly string[];
  readonly target: Target;
}

interface Stored {
  readonly digest: string;
  readonly size: number;
  readonly compression: Compression;
}

interface Contents {
  readonly files: Map<string, Stored>;
  readonly links: Map<string, string>;
  readonly texts: Map<string, Buffer>;
}

const LAYER_TYPES: Readonly<Partial<Record<Compression, string>>> = {
  none: MEDIA.ociLayer,
  gzip: MEDIA.ociLayerGzip,
  zstd: MEDIA.ociLayerZstd,
};

export class Loader {
  constructor(
    private readonly store: ImageStore,
    private readonly lease: string,
    private readonly report: (progress: Progress) => void,
    private readonly signal: AbortSignal,
  ) {}

  /** Throws Refused for what cannot be loaded; names are still to be given. */
  async load(archive: Chunks): Promise<readonly Loaded[]> {
    const contents = await this.#takeIn(await decompressed(archive));
    const layout = isLayout(contents.texts.get("oci-layout"));
    const index = contents.texts.get("index.json");
    const manifest = contents.texts.get("manifest.json");
    const images = manifest === undefined ? [] : orBroken(parseArchiveManifest(manifest));
    if (layout && index !== undefined) return this.#fromLayout(contents, index, images);
    if (manifest === undefined) {
      throw broken("it has neither a manifest.json (docker save) nor an index.json (OCI layout)");
    }
    const loaded: Loaded[] = [];
    for (const image of images) loaded.push(await this.#fromArchive(contents, image));
    return loaded;
  }

  async #takeIn(source: Chunks): Promise<Contents> {
    const contents: Contents = { files: new Map(), links: new Map(), texts: new Map() };
    let count = 0;
    for await (const entry of tarEntries(source)) {
      this.signal.throwIfAborted();
      const path = archivePath(entry.name);
      if (path === undefined) throw broken(`the path "${entry.name}" leads out of it`);
      if (entry.type === "symlink" || entry.type === "link") {
        const target = linkTarget(path, entry.linkName, entry.type);
        if (target !== undefined) contents.links.set(path, target);
      } else if (entry.type === "file" && isArchiveText(path)) {
        contents.texts.set(path, await textOf(entry));
      } else if (entry.type === "file") {
        contents.files.set(path, await this.#storeFile(path, entry, count++));
      }
    }
    return contents;
  }

  async #storeFile(path: string, entry: TarEntry, count: number): Promise<Stored> {
    const { compression, whole } = await sniff(entry.data);
    const digest = blobDigest(path);
    const ref = `load-${this.lease}-${count}`;
    const blob = { ref, digest, size: entry.size, labels: {}, source: whole };
    try {
      const stored = await this.store.blobs.write(blob, this.lease, this.signal);
      // What was there already and is not held by a name could be collected meanwhile.
      await this.store.holdBlob(stored.digest, this.lease);
      return { ...stored, size: entry.size, compression };
    } catch (error) {
      if (/unexpected commit digest/.test(String((error as { details?: unknown }).details))) {
        throw broken(`${path} is not what its name says`);
      }
      throw error;
    }
  }

  async #fromArchive(contents: Contents, image: ArchivedImage): Promise<Loaded> {
    const config = found(contents, image.config);
    const layers: Descriptor[] = image.layers.map((path) => {
      const { digest, size, compression } = found(contents, path);
      const mediaType = LAYER_TYPES[compression];
      if (mediaType === undefined) throw unreadable(compression, "containerd");
      return { mediaType, digest, size };
    });
    const manifest: Manifest = {
      kind: "manifest",
      mediaType: MEDIA.ociManifest,
      config: { mediaType: MEDIA.ociConfig, digest: config.digest, size: config.size },
      layers,
    };
    const target = await this.store.putManifest(encoded(manifest), manifest.mediaType, this.lease);
    await this.#unpack(manifest);
    const names = image.repoTags.map(fullName);
    return { id: config.digest, names, target: { target, manifestDigest: target.digest } };
  }

  async #fromLayout(
    contents: Contents,
    index: Buffer,
    images: readonly ArchivedImage[],
  ): Promise<readonly Loaded[]> {
    const loaded: Loaded[] = [];
    for (const { descriptor, names } of orBroken(parseLayout(index))) {
      const target = await this.#layoutTarget(descriptor);
      if (target === undefined) continue;
      const manifest = await this.store.manifest(target.manifestDigest);
      if (manifest?.kind !== "manifest") continue;
      await this.#unpack(manifest);
      const { digest } = manifest.config;
      const same = images.filter(({ config }) => foundDigest(contents, config) === digest);
      const all = new Set([...names, ...same.flatMap(({ repoTags }) => repoTags)].map(fullName));
      // One image under several names is there once for each.
      const before = loaded.findIndex(
        (each) => each.target.manifestDigest === target.manifestDigest,
      );
      const [known] = before < 0 ? [] : loaded.splice(before, 1);
      loaded.push({ id: digest, names: [...new Set([...(known?.names ?? []), ...all])], target });
    }
    if (loaded.length === 0) {
      throw broken("it has no image that could run on this platform");
    }
    return loaded;
  }

  /** The manifest for this node, stored again with the labels that hold its parts. */
  async #layoutTarget(descriptor: Descriptor): Promise<Target | undefined> {
    const top = await this.store.manifest(descriptor.digest);
    if (top === undefined) return undefined;
    const bytes = await this.store.blobs.read(descriptor.digest, MANIFEST_BYTES_MAX);
    if (bytes === undefined) return undefined;
    const target = await this.store.putManifest(bytes, top.mediaType, this.lease);
    if (top.kind === "manifest") return { target, manifestDigest: target.digest };
    const chosen = await this.store.chosenOf(top);
    if (chosen === undefined) return undefined;
    const part = await this.#layoutTarget(chosen);
    return part && { target, manifestDigest: part.manifestDigest };
  }

  async #unpack({ config, layers }: Manifest): Promise<void> {
    const blob = await this.store.config(config.digest);
    if (blob === undefined) throw broken(`${config.digest} is no image's config`);
    if (blob.layers.length !== layers.length) {
      throw broken(
        `its config speaks of ${blob.layers.length} layers, and there are ${layers.length}`,
      );
    }
    const list = layers.map((descriptor, i) => ({ descriptor, diffId: blob.layers[i] ?? "" }));
    await this.store.snapshots.unpack(list, this.lease, this.signal, (i, stage) => {
      const { descriptor, diffId } = list[i] ?? {};
      if (descriptor === undefined || diffId === undefined) return;
      const total = descriptor.size;
      const current = stage === "done" ? total : 0;
      const progressDetail = { current, total };
      this.report({ status: "Loading layer", progressDetail, id: shortDigest(diffId) });
    });
    await this.store.holdSnapshots(config.digest, blob.layers);
  }
}

function fullName(tag: string): string {
  const reference = parseTagged(tag);
  if (isRefusal(reference)) throw new Refused(refuse("invalid-argument", reference.message));
  return fullText(reference);
}

function found(contents: Contents, path: string): Stored {
  const at = followLinks(path, contents.links);
  const stored = at === undefined ? undefined : contents.files.get(at);
  if (stored === undefined) throw broken(`"${path}" is missing`);
  return stored;
}

function foundDigest(contents: Contents, path: string): string | undefined {
  return contents.files.get(followLinks(path, contents.links) ?? "")?.digest;
}

async function textOf(entry: TarEntry): Promise<Buffer> {
  if (entry.size > MANIFEST_BYTES_MAX) throw broken(`${entry.name} is too long`);
  const parts: Buffer[] = [];
  for await (const part of entry.data) parts.push(part);
  return Buffer.concat(parts);
}

export function encoded({ mediaType, config, layers }: Manifest): Buffer {
  return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, config, layers }));
}

function orBroken<T>(parsed: T | string): T {
  if (typeof parsed === "string") throw broken(parsed);
  return parsed;
}
