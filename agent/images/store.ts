// The node's images, as containerd's image service has them: a record for each name, leading to a manifest
// or an index. Here records become images (one for each config), and names are given and taken. What no
// record leads to, containerd's garbage collector removes.
import { Fault, type Refusal, refuse } from "../../common/fault.js";
import type { Image as ImageRecord } from "../../proto/gen/containerd/images.js";
import {
  alreadyExists,
  type Containerd,
  isNotFound,
  SNAPSHOTTER,
} from "../containerd/connection.js";
import { chainIdOf, digestOf } from "../oci/digest.js";
import { type ConfigBlob, parseConfig } from "../oci/image-config.js";
import {
  CONFIG_BYTES_MAX,
  type Descriptor,
  type Index,
  isIndexType,
  MANIFEST_BYTES_MAX,
  type Manifest,
  parseManifest,
} from "../oci/manifest.js";
import { fitness } from "../oci/platform.js";
import {
  familiarText,
  nameOf,
  parseReference,
  parseTagged,
  type Reference,
} from "../oci/reference.js";
import type { Image, PlatformWish } from "../seams.js";
import { Blobs } from "./blobs.js";
import { Snapshots } from "./snapshots.js";

/** The name of an image that has lost its own ("<none>"); the digest is its manifest's. */
const DANGLING = "skein-dangling@";
/** On a record of an index: which of its manifests this node has. */
const MANIFEST_LABEL = "skein.manifest";

export interface StoredImage {
  readonly image: Image;
  readonly records: readonly StoredRecord[];
}

export interface StoredRecord {
  /** As containerd has it. */
  readonly name: string;
  /** Undefined: it dangles, or is no name of an image. */
  readonly reference: Reference | undefined;
  readonly target: Descriptor;
  readonly manifest: Descriptor & { readonly parsed: Manifest };
}

/** What a record leads to. */
export interface Target {
  /** The manifest, or the index that it was pulled by. */
  readonly target: Descriptor;
  readonly manifestDigest: string;
}

// Manifests and configs are named by their bytes, so what was read once holds. Choice: a node has tens of
// images; beyond this all is read again.
const READ_MAX = 1_000;

export class ImageStore {
  readonly blobs: Blobs;
  readonly snapshots: Snapshots;
  readonly #manifests = new Map<string, Manifest | Index>();
  readonly #configs = new Map<string, ConfigBlob>();
  #changing: Promise<unknown> = Promise.resolve();

  constructor(
    readonly containerd: Containerd,
    readonly platform: PlatformWish,
  ) {
    this.blobs = new Blobs(containerd);
    this.snapshots = new Snapshots(containerd);
  }

  /** One change of names at a time: each looks first at what there is. */
  exclusively<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#changing.then(work);
    this.#changing = result.catch(() => undefined);
    return result;
  }

  async list(): Promise<readonly StoredImage[]> {
    const { images } = this.containerd;
    const answer = await this.containerd.call(images.list.bind(images), { filters: [] });
    const byConfig = new Map<string, StoredRecord[]>();
    for (const record of answer.images) {
      const stored = await this.#recordOf(record);
      if (stored === undefined) continue;
      const id = stored.manifest.parsed.config.digest;
      byConfig.set(id, [...(byConfig.get(id) ?? []), stored]);
    }
    const found: StoredImage[] = [];
    for (const [id, records] of byConfig) {
      const image = await this.#imageOf(id, records);
      if (image !== undefined) found.push({ image, records });
    }
    return found.sort((a, b) => b.image.createdAtMs - a.image.createdAtMs);
  }

  async find(ref: string): Promise<StoredImage | Refusal> {
    return findIn(await this.list(), ref);
  }

  /** The manifest or index at this digest; undefined: it is not there, or is neither. */
  async manifest(digest: string): Promise<Manifest | Index | undefined> {
    const known = this.#manifests.get(digest);
    if (known !== undefined) return known;
    const bytes = await this.blobs.read(digest, MANIFEST_BYTES_MAX);
    const parsed = bytes === undefined ? "" : parseManifest(bytes);
    if (typeof parsed === "string") return undefined;
    if (this.#manifests.size >= READ_MAX) this.#manifests.clear();
    this.#manifests.set(digest, parsed);
    return parsed;
  }

  async config(digest: string): Promise<ConfigBlob | undefined> {
    const known = this.#configs.get(digest);
    if (known !== undefined) return known;
    const bytes = await this.blobs.read(digest, CONFIG_BYTES_MAX);
    const parsed = bytes === undefined ? "" : parseConfig(bytes);
    if (typeof parsed === "string") return undefined;
    if (this.#configs.size >= READ_MAX) this.#configs.clear();
    this.#configs.set(digest, parsed);
    return parsed;
  }

  async #recordOf(record: ImageRecord): Promise<StoredRecord | undefined> {
    const { name, target, labels } = record;
    if (target === undefined) return undefined;
    const manifest = await this.#manifestOf(target, labels[MANIFEST_LABEL]);
    if (manifest === undefined) return undefined;
    const reference = name.startsWith(DANGLING) ? undefined : parseReference(name);
    const known = reference !== undefined && "domain" in reference ? reference : undefined;
    return { name, reference: known, target, manifest };
  }

  async #manifestOf(
    target: Descriptor,
    chosen: string | undefined,
  ): Promise<StoredRecord["manifest"] | undefined> {
    const top = await this.manifest(target.digest);
    if (top === undefined) return undefined;
    if (top.kind === "manifest") return { ...target, parsed: top };
    for (const each of ranked(top, this.platform, chosen)) {
      const parsed = await this.manifest(each.digest);
      if (parsed?.kind === "manifest") return { ...each, parsed };
    }
    return undefined;
  }

  /** The manifest of an index that this node has and can run best. */
  async chosenOf(index: Index): Promise<Descriptor | undefined> {
    for (const each of ranked(index, this.platform, undefined)) {
      if ((await this.manifest(each.digest)) !== undefined) return each;
    }
    return undefined;
  }

  async #imageOf(id: string, records: readonly StoredRecord[]): Promise<Image | undefined> {
    const config = await this.config(id);
    if (config === undefined) return undefined;
    const sizes = await this.layerSizes(config.layers);
    const filled = config.history.filter(({ emptyLayer }) => !emptyLayer);
    const sizeOf = (entry: (typeof filled)[number]) =>
      entry.emptyLayer ? 0 : (sizes[filled.indexOf(entry)] ?? 0);
    const references = records.flatMap(({ reference }) => reference ?? []);
    const named = (withDigest: boolean) =>
      references
        .filter(({ digest }) => (digest !== "") === withDigest)
        .map(familiarText)
        .sort();
    return {
      ...config,
      id,
      tags: named(false),
      digests: named(true),
      sizeBytes: sizes.reduce((sum, size) => sum + size, 0),
      history: config.history.map((entry) => ({ ...entry, sizeBytes: sizeOf(entry) })),
    };
  }

  layerSizes(diffIds: readonly string[]): Promise<readonly number[]> {
    return Promise.all(
      diffIds.map((_, i) => this.snapshots.sizeOf(chainIdOf(diffIds.slice(0, i + 1)))),
    );
  }

  // ---- Names ------------------------------------------------------------------------------------

  /**
   * Gives a name. The image that had it keeps all else it is called by, and dangles when that is nothing;
   * its id is answered if it is another image. To be called `exclusively`, as all that follows.
   */
  async name(name: string, target: Target): Promise<string | undefined> {
    const before = (await this.list()).find(({ records }) =>
      records.some((record) => record.name === name),
    );
    const lost = before?.records.find((record) => record.name === name);
    const same = lost?.manifest.digest === target.manifestDigest;
    if (before?.records.length === 1 && lost !== undefined && !same) await this.dangle(lost);
    await this.#put(name, target);
    // It is called something again.
    await this.unname(`${DANGLING}${target.manifestDigest}`, false);
    const manifest = await this.manifest(target.manifestDigest);
    const id = manifest?.kind === "manifest" ? manifest.config.digest : "";
    return before !== undefined && before.image.id !== id ? before.image.id : undefined;
  }

  /** Whether the name is there and leads to just this. */
  async leadsTo(name: string, target: Target): Promise<boolean> {
    return (await this.list()).some(({ records }) =>
      records.some(
        (record) =>
          record.name === name &&
          record.target.digest === target.target.digest &&
          record.manifest.digest === target.manifestDigest,
      ),
    );
  }

  /** An image without a name of its own, that stays until it is removed. */
  async keepNameless(target: Target): Promise<void> {
    const named = (await this.list()).some(({ records }) =>
      records.some(({ manifest }) => manifest.digest === target.manifestDigest),
    );
    if (!named) await this.#put(`${DANGLING}${target.manifestDigest}`, target);
  }

  /** Keeps what the record leads to when its name goes. */
  async dangle({ manifest }: StoredRecord): Promise<void> {
    const target = { target: manifest, manifestDigest: manifest.digest };
    await this.#put(`${DANGLING}${manifest.digest}`, target);
  }

  async #put(name: string, { target, manifestDigest }: Target): Promise<void> {
    const { images } = this.containerd;
    const { mediaType, digest, size } = target;
    const labels: Record<string, string> = isIndexType(mediaType)
      ? { [MANIFEST_LABEL]: manifestDigest }
      : {};
    const image = {
      name,
      labels,
      target: { mediaType, digest, size, annotations: {} },
      createdAt: undefined,
      updatedAt: undefined,
    };
    try {
      await this.containerd.call(images.create.bind(images), { image });
    } catch (error) {
      if (!alreadyExists(error)) throw error;
      await this.containerd.call(images.update.bind(images), {
        image,
        updateMask: ["target", "labels"],
      });
    }
  }

  /** Takes a name; `collect` waits until what it alone led to is gone from the disk. None there is no error. */
  async unname(name: string, collect: boolean): Promise<void> {
    const { images } = this.containerd;
    try {
      await this.containerd.call(images.delete.bind(images), { name, sync: collect });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  // ---- What an image consists of -------------------------------------------------------------------

  /**
   * Stores a manifest that was put together here, or fetched, with the labels by which containerd's
   * collector finds what it consists of; and, of an index, the part of it that this node has.
   */
  async putManifest(
    bytes: Uint8Array,
    mediaType: string,
    lease: string,
    labels: Readonly<Record<string, string>> = {},
  ): Promise<Descriptor> {
    const digest = digestOf(bytes);
    const parsed = parseManifest(bytes);
    if (typeof parsed === "string") throw new Fault("MANIFEST_WRONG", { digest, why: parsed });
    await this.blobs.put(bytes, digest, { ...childLabels(parsed), ...labels }, lease);
    return { mediaType, digest, size: bytes.length };
  }

  /** Whether a blob is there; if so the lease holds it, as its garbage may be about to be collected. */
  async holdBlob(digest: string, lease: string): Promise<boolean> {
    if ((await this.blobs.sizeOf(digest)) === undefined) return false;
    const { leases } = this.containerd;
    const resource = { id: digest, type: "content" };
    await this.containerd.call(leases.addResource.bind(leases), { id: lease, resource });
    return (await this.blobs.sizeOf(digest)) !== undefined;
  }

  /** The label that makes a config hold the snapshots of its image. */
  async holdSnapshots(configDigest: string, diffIds: readonly string[]): Promise<void> {
    const chainId = chainIdOf(diffIds);
    if (chainId === "") return;
    const label = `containerd.io/gc.ref.snapshot.${SNAPSHOTTER}`;
    await this.blobs.label(configDigest, { [label]: chainId });
  }
}

/** containerd's own convention (images/handlers.go, ChildGCLabels). */
function childLabels(parsed: Manifest | Index): Record<string, string> {
  const prefix = "containerd.io/gc.ref.content";
  if (parsed.kind === "index") {
    return Object.fromEntries(
      parsed.manifests.map(({ digest }, i) => [`${prefix}.m.${i}`, digest]),
    );
  }
  return Object.fromEntries([
    [`${prefix}.config`, parsed.config.digest],
    ...parsed.layers.map(({ digest }, i) => [`${prefix}.l.${i}`, digest]),
  ]);
}

function ranked(index: Index, platform: PlatformWish, chosen: string | undefined) {
  const rank = (each: Index["manifests"][number]) =>
    each.digest === chosen ? 1_000 : each.platform ? fitness(platform, each.platform) : 1;
  return index.manifests
    .filter(({ mediaType, annotations }) => !isIndexType(mediaType) && !isAttestation(annotations))
    .sort((a, b) => rank(b) - rank(a));
}

/** BuildKit's statements about an image lie beside it in the index, as images of no platform. */
export function isAttestation(annotations: Readonly<Record<string, string>>): boolean {
  return annotations["vnd.docker.reference.type"] === "attestation-manifest";
}

/** By name first, then by id, then by the beginning of one id: as dockerd does. */
export function findIn(images: readonly StoredImage[], ref: string): StoredImage | Refusal {
  const hex = ref.replace(/^sha256:/, "");
  const isId = /^[0-9a-f]{1,64}$/.test(hex);
  if (isId && hex.length === 64) {
    const exact = images.find(({ image }) => image.id === `sha256:${hex}`);
    return exact ?? missing(ref);
  }
  const reference = parseTagged(ref);
  if ("domain" in reference) {
    const named = images.find(({ records }) =>
      records.some((record) => isCalled(record, reference)),
    );
    if (named !== undefined) return named;
  }
  const byPrefix = isId ? images.filter(({ image }) => image.id.startsWith(`sha256:${hex}`)) : [];
  const [first, ...more] = byPrefix;
  if (more.length > 0) {
    return refuse("not-found", `Multiple IDs found with provided prefix: ${ref}`);
  }
  return first ?? missing("domain" in reference ? familiarText(reference) : ref);
}

/** A name with tag and digest means the digest. */
export function isCalled({ reference }: StoredRecord, wanted: Reference): boolean {
  if (reference === undefined || nameOf(reference) !== nameOf(wanted)) return false;
  return wanted.digest !== ""
    ? reference.digest === wanted.digest
    : reference.digest === "" && reference.tag === wanted.tag;
}

function missing(ref: string): Refusal {
  return refuse("not-found", `No such image: ${ref}`);
}
