// Saving: an OCI layout that is a docker-archive too, as Docker 25 and later write it. Blobs go out as they
// are stored.
import { Readable } from "node:stream";
import { digestOf } from "../oci/digest.js";
import { type Descriptor, MEDIA } from "../oci/manifest.js";
import { familiarName, familiarText, fullText, type Reference } from "../oci/reference.js";
import type { ImageStore, StoredRecord } from "./store.js";
import { type TarFile, tarOf } from "./tar.js";

export interface Saved {
  readonly record: StoredRecord;
  /** The tags to save it by; none: nameless. */
  readonly tags: readonly Reference[];
}

// A reproducible archive has no time and no owner of its own.
const NOBODYS = { uid: 0, gid: 0, mtimeSeconds: 0 };
// include/uapi/linux/stat.h: S_IFDIR and S_IFREG.
const FOLDER = { type: "directory", size: 0, mode: 0o040755, ...NOBODYS } as const;
const FILE = { type: "file", mode: 0o100644, ...NOBODYS } as const;

export function saveArchive(
  store: ImageStore,
  images: readonly Saved[],
): AsyncGenerator<Uint8Array> {
  const blobs = new Map<string, number>();
  for (const { record } of images) {
    const { manifest } = record;
    for (const { digest, size } of [manifest, manifest.parsed.config, ...manifest.parsed.layers]) {
      blobs.set(digest, size);
    }
  }
  const folders: TarFile[] = ["blobs/", "blobs/sha256/"].map((name) => ({ name, ...FOLDER }));
  const files: TarFile[] = [...blobs].map(([digest, size]) => ({
    ...{ name: pathOf(digest), ...FILE, size },
    data: store.blobs.stream(digest),
  }));
  const texts: TarFile[] = [
    textFile("index.json", indexOf(images)),
    textFile("manifest.json", images.map(archived)),
    textFile("oci-layout", { imageLayoutVersion: "1.0.0" }),
    textFile("repositories", repositoriesOf(images)),
  ];
  return tarOf(Readable.from([...folders, ...files, ...texts]));
}

function indexOf(images: readonly Saved[]): object {
  const manifests = images.flatMap(({ record, tags }) => {
    const { mediaType, digest, size } = record.manifest;
    if (tags.length === 0) return [{ mediaType, digest, size }];
    return tags.map((tag) => ({
      mediaType,
      digest,
      size,
      annotations: {
        "io.containerd.image.name": fullText(tag),
        "org.opencontainers.image.ref.name": tag.tag,
      },
    }));
  });
  return { schemaVersion: 2, mediaType: MEDIA.ociIndex, manifests };
}

function archived({ record, tags }: Saved): object {
  const { config, layers } = record.manifest.parsed;
  return {
    Config: pathOf(config.digest),
    RepoTags: tags.length === 0 ? null : tags.map(familiarText),
    Layers: layers.map(({ digest }) => pathOf(digest)),
    LayerSources: Object.fromEntries(layers.map((layer) => [layer.digest, plain(layer)])),
  };
}

function repositoriesOf(images: readonly Saved[]): object {
  const repositories: Record<string, Record<string, string>> = {};
  for (const { record, tags } of images) {
    const top = record.manifest.parsed.layers.at(-1)?.digest ?? digestOf("");
    for (const tag of tags) {
      repositories[familiarName(tag)] = {
        ...repositories[familiarName(tag)],
        [tag.tag]: top.replace("sha256:", ""),
      };
    }
  }
  return repositories;
}

function plain({ mediaType, digest, size }: Descriptor): Descriptor {
  return { mediaType, digest, size };
}

function pathOf(digest: string): string {
  return `blobs/${digest.replace(":", "/")}`;
}

function textFile(name: string, value: object): TarFile {
  const bytes = Buffer.from(JSON.stringify(value));
  const data = (async function* () {
    yield bytes;
  })();
  return { name, ...FILE, size: bytes.length, data };
}
