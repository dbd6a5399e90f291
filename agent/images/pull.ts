// One pull: what the registry has under a name, for one platform, into containerd. Layers come three at a
// time and are unpacked base first as they arrive. Until the end a lease holds all of it; a name is given
// when everything is there and checked.
import type { Clock } from "../../common/clock.js";
import { Refused, refuse } from "../../common/fault.js";
import { ContainerdFault } from "../containerd/connection.js";
import { chainIdOf, shortDigest } from "../oci/digest.js";
import { type ConfigBlob, parseConfig } from "../oci/image-config.js";
import { type Descriptor, type Index, isLayerType, type Manifest, MEDIA } from "../oci/manifest.js";
import { fitness, normalized, platformText } from "../oci/platform.js";
import {
  DEFAULT_DOMAIN,
  familiarText,
  fullText,
  nameOf,
  type Reference,
} from "../oci/reference.js";
import type { RegistryClient, Resolved } from "../registry/client.js";
import type { PlatformWish, Progress } from "../seams.js";
import { type ImageStore, isAttestation, type Target } from "./store.js";

/** dockerd's max-concurrent-downloads. */
const DOWNLOADS_AT_ONCE = 3;
// Choice: more often no eye can follow.
const REPORT_EVERY_MS = 100;

export interface Pulled {
  readonly id: string;
  readonly digest: string;
  /** Whether a name was given that led elsewhere, or nowhere, before. */
  readonly newer: boolean;
}

export class Pull {
  #running = 0;
  readonly #queue: (() => void)[] = [];

  constructor(
    private readonly store: ImageStore,
    private readonly client: RegistryClient,
    private readonly reference: Reference,
    private readonly platform: PlatformWish | undefined,
    private readonly lease: string,
    private readonly report: (progress: Progress) => void,
    private readonly clock: Clock,
    private readonly signal: AbortSignal,
  ) {}

  /** Throws Refused in Docker's words. */
  async run(): Promise<Pulled> {
    const { reference } = this;
    const top = await this.client.manifest(reference.digest || reference.tag);
    const chosen = await this.#chosen(top);
    const { manifest, config } = chosen;
    const id = reference.digest === "" ? reference.tag : fullText(reference);
    this.report({ status: `Pulling from ${reference.path}`, id });
    await this.#fetchLayers(manifest, config);
    await this.#keepParts(top, chosen);
    const target: Target = {
      target: { mediaType: top.mediaType, digest: top.digest, size: top.bytes.length },
      manifestDigest: chosen.resolved.digest,
    };
    const newer = await this.#giveNames(target, top.digest);
    const word = newer ? "Downloaded newer image for" : "Image is up to date for";
    this.report({ status: `Digest: ${top.digest}` });
    this.report({ status: `Status: ${word} ${familiarText(reference)}` });
    return { id: manifest.config.digest, digest: top.digest, newer };
  }

  async #chosen(top: Resolved): Promise<{
    readonly resolved: Resolved;
    readonly manifest: Manifest;
    readonly config: ConfigBlob;
    readonly configBytes: Buffer;
  }> {
    const resolved = top.parsed.kind === "index" ? await this.#ofPlatform(top.parsed) : top;
    const manifest = resolved.parsed;
    if (manifest.kind !== "manifest") throw this.#noMatch();
    const { mediaType } = manifest.config;
    if (mediaType !== MEDIA.ociConfig && mediaType !== MEDIA.dockerConfig) {
      const sentence = `Encountered remote "${mediaType}"(unknown) when fetching`;
      throw new Refused(refuse("failed-precondition", `${sentence}: it is no container image`));
    }
    const foreign = manifest.layers.find((each) => !isLayerType(each.mediaType));
    if (foreign !== undefined) {
      const sentence = `unsupported media type ${foreign.mediaType} of a layer`;
      throw new Refused(refuse("failed-precondition", sentence));
    }
    const configBytes = await this.client.config(manifest.config);
    const config = parseConfig(configBytes);
    if (typeof config === "string" || config.layers.length !== manifest.layers.length) {
      const why =
        typeof config === "string" ? config : "it speaks of other layers than the manifest";
      throw new Refused(refuse("failed-precondition", `the image's config cannot be used: ${why}`));
    }
    this.#checkPlatform(config);
    return { resolved, manifest, config, configBytes };
  }

  async #ofPlatform(index: Index): Promise<Resolved> {
    const wanted = this.platform ?? this.store.platform;
    const [best] = index.manifests
      .filter(({ platform, annotations }) => platform !== undefined && !isAttestation(annotations))
      .map((each) => ({ each, rank: each.platform ? fitness(wanted, each.platform) : 0 }))
      .filter(({ rank }) => rank > 0)
      .sort((a, b) => b.rank - a.rank);
    // An index of one image that says nothing of platforms leaves no choice.
    const [only, ...others] = index.manifests;
    const chosen =
      best?.each ?? (others.length === 0 && only?.platform === undefined ? only : undefined);
    if (chosen === undefined) throw this.#noMatch();
    return this.client.manifest(chosen.digest);
  }

  #noMatch(): Refused {
    const wanted = normalized(this.platform ?? this.store.platform);
    // Docker's name for it.
    const variant = wanted.architecture === "arm64" ? "v8" : wanted.variant;
    const text = platformText({ ...wanted, variant });
    const sentence = `no matching manifest for ${text} in the manifest list entries`;
    return new Refused(refuse("not-found", sentence));
  }

  /** An image that is for one platform alone, and not for the one that was asked for. */
  #checkPlatform(config: ConfigBlob): void {
    if (this.platform === undefined || fitness(this.platform, config) > 0) return;
    const sentence =
      `image with reference ${familiarText(this.reference)} was found but its platform ` +
      `(${platformText(config)}) does not match the specified platform (${platformText(this.platform)})`;
    throw new Refused(refuse("not-found", sentence));
  }

  // ---- Layers -----------------------------------------------------------------------------------

  async #fetchLayers({ layers }: Manifest, config: ConfigBlob): Promise<void> {
    const list = layers.map((descriptor, i) => ({ descriptor, diffId: config.layers[i] ?? "" }));
    const there = await Promise.all(list.map((_, i) => this.#isThere(list, i)));
    for (const [i, { descriptor }] of list.entries()) {
      const id = shortDigest(descriptor.digest);
      this.report({
        status: there[i] ? "Already exists" : "Pulling fs layer",
        progressDetail: {},
        id,
      });
    }
    // One that fails ends the others; the first failure is the pull's.
    const failing = new AbortController();
    const signal = AbortSignal.any([failing.signal, this.signal]);
    const arrived = new Map<string, Promise<void>>();
    for (const [i, { descriptor }] of list.entries()) {
      const { digest } = descriptor;
      if (arrived.has(digest)) continue;
      const arrival = there[i] ? Promise.resolve() : this.#fetch(descriptor, signal);
      arrival.catch((error: unknown) => failing.abort(error));
      arrived.set(digest, arrival);
    }
    try {
      for (const [i, { descriptor }] of list.entries()) {
        await arrived.get(descriptor.digest);
        if (there[i]) continue;
        await this.#extract(list.slice(0, i + 1), descriptor, signal);
      }
    } catch (error) {
      failing.abort(error);
      // Nothing writes any more when the lease is dropped.
      await Promise.allSettled(arrived.values());
      this.signal.throwIfAborted();
      throw failing.signal.reason instanceof Refused ? failing.signal.reason : error;
    }
  }

  async #extract(
    list: readonly { readonly descriptor: Descriptor; readonly diffId: string }[],
    { digest, size }: Descriptor,
    signal: AbortSignal,
  ): Promise<void> {
    const id = shortDigest(digest);
    const steps = list.length - 1;
    await this.store.snapshots.unpack(list, this.lease, signal, (index, stage) => {
      if (index !== steps || stage !== "extracting") return;
      this.report({ status: "Extracting", progressDetail: { current: size, total: size }, id });
    });
    this.report({ status: "Pull complete", progressDetail: {}, id });
  }

  /** Unpacked and as a blob, both held by the lease from here on. */
  async #isThere(
    list: readonly { readonly descriptor: Descriptor; readonly diffId: string }[],
    i: number,
  ): Promise<boolean> {
    const digest = list[i]?.descriptor.digest ?? "";
    if (!(await this.store.holdBlob(digest, this.lease))) return false;
    const chainId = chainIdOf(list.slice(0, i + 1).map(({ diffId }) => diffId));
    return this.store.snapshots.keep(chainId, this.lease);
  }

  async #fetch(descriptor: Descriptor, signal: AbortSignal): Promise<void> {
    const { digest, size } = descriptor;
    const id = shortDigest(digest);
    if (!(await this.store.holdBlob(digest, this.lease))) {
      await this.#turn(id, signal, async () => {
        const source = this.#counted(this.client.blob(descriptor), id, size);
        const ref = `pull-${this.lease}-${digest}`;
        const blob = { ref, digest, size, labels: this.#sourceLabel(), source };
        try {
          await this.store.blobs.write(blob, this.lease, signal);
        } catch (error) {
          throw verificationOr(error, digest);
        }
      });
    }
    this.report({ status: "Download complete", progressDetail: {}, id });
  }

  async *#counted(source: AsyncIterable<Buffer>, id: string, total: number) {
    let current = 0;
    let saidMs = 0;
    for await (const part of source) {
      yield part;
      current += part.length;
      const nowMs = this.clock.nowMs();
      if (nowMs - saidMs < REPORT_EVERY_MS && current < total) continue;
      saidMs = nowMs;
      this.report({ status: "Downloading", progressDetail: { current, total }, id });
    }
    this.report({ status: "Verifying Checksum", progressDetail: {}, id });
  }

  async #turn(id: string, signal: AbortSignal, work: () => Promise<void>): Promise<void> {
    if (this.#running >= DOWNLOADS_AT_ONCE) {
      this.report({ status: "Waiting", progressDetail: {}, id });
      await new Promise<void>((resolve) => this.#queue.push(resolve));
    } else this.#running++;
    try {
      signal.throwIfAborted();
      await work();
    } finally {
      const next = this.#queue.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }

  // ---- What remains -----------------------------------------------------------------------------

  async #keepParts(
    top: Resolved,
    chosen: {
      readonly resolved: Resolved;
      readonly manifest: Manifest;
      readonly config: ConfigBlob;
      readonly configBytes: Buffer;
    },
  ): Promise<void> {
    const { store, lease } = this;
    const { manifest, config, configBytes, resolved } = chosen;
    await store.blobs.put(configBytes, manifest.config.digest, this.#sourceLabel(), lease);
    await store.holdSnapshots(manifest.config.digest, config.layers);
    await store.putManifest(resolved.bytes, resolved.mediaType, lease, this.#sourceLabel());
    if (top !== resolved) {
      await store.putManifest(top.bytes, top.mediaType, lease, this.#sourceLabel());
    }
  }

  /** containerd's label for where a blob came from: a push to the same registry need not send it. */
  #sourceLabel(): Readonly<Record<string, string>> {
    const { domain, path } = this.reference;
    return { [`containerd.io/distribution.source.${domain || DEFAULT_DOMAIN}`]: path };
  }

  async #giveNames(target: Target, digest: string): Promise<boolean> {
    const { reference, store } = this;
    const byDigest = `${nameOf(reference)}@${digest}`;
    const names =
      reference.digest === "" ? [fullText({ ...reference, digest: "" }), byDigest] : [byDigest];
    return store.exclusively(async () => {
      const [first = ""] = names;
      const newer = !(await store.leadsTo(first, target));
      // The digest's name first: who loses the tag keeps its own.
      for (const name of [...names].reverse()) await store.name(name, target);
      return newer;
    });
  }
}

/** containerd's refusal of bytes that are not what they were said to be, in Docker's words. */
function verificationOr(error: unknown, digest: string): unknown {
  if (!(error instanceof ContainerdFault) || !/unexpected commit/.test(error.details)) return error;
  const sentence = `filesystem layer verification failed for digest ${digest}`;
  return new Refused(refuse("failed-precondition", sentence));
}
