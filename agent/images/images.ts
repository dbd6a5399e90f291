// The node's images over containerd: what the API, the containers and the swarm's tasks ask for. containerd
// stores, verifies, unpacks and shares layers; what it has over gRPC outside of CRI has no way to fetch an
// image, no look-up of a digest and no progress, so agent/registry fetches.
import { Readable } from "node:stream";
import type { Clock } from "../../common/clock.js";
import { isRefusal, type Refusal, Refused, refuse } from "../../common/fault.js";
import { type Containerd, ContainerdFault } from "../containerd/connection.js";
import { hostPlatform } from "../oci/platform.js";
import { familiarText, fullText, nameOf, parseReference, parseTagged } from "../oci/reference.js";
import type { Image, Images, ImportOptions, NodeEvent, Progress, RegistryAuth } from "../seams.js";
import { importImage } from "./import.js";
import { dropOldLeases, isDiskFull, withLease } from "./leases.js";
import { Loader } from "./load.js";
import { ImageRegistries, type PullOptions } from "./registries.js";
import { ownChains, planRemoval, type UsingContainer } from "./removal.js";
import { type Saved, saveArchive } from "./save.js";
import { findIn, ImageStore, isCalled, type StoredImage } from "./store.js";

export interface ImagesParts {
  readonly containerd: Containerd;
  readonly clock: Clock;
  readonly publish: (event: NodeEvent) => void;
  /** The containers made of an image, by its id. */
  readonly usedBy: (imageId: string) => readonly UsingContainer[];
}

type Removed = { readonly untagged: string } | { readonly deleted: string };

export class ContainerdImages implements Images {
  readonly #store: ImageStore;
  readonly #registries: ImageRegistries;
  #restored: Promise<void> = Promise.resolve();

  constructor(private readonly parts: ImagesParts) {
    this.#store = new ImageStore(parts.containerd, hostPlatform(process.arch));
    this.#registries = new ImageRegistries(
      this.#store,
      parts.clock,
      (work) => this.#leased(work),
      (action, id, name) => this.#event(action, id, name),
    );
  }

  problem(): Refusal | undefined {
    return this.parts.containerd.problem();
  }

  /** Drops what an earlier agent was in the middle of when it was killed. Pulls and the like wait for it. */
  restore(): Promise<void> {
    const done =
      this.problem() === undefined ? dropOldLeases(this.parts.containerd) : Promise.resolve();
    this.#restored = done.catch(() => undefined);
    return done;
  }

  async list(): Promise<readonly Image[]> {
    if (this.problem() !== undefined) return [];
    return (await this.#store.list()).map(({ image }) => image);
  }

  async get(ref: string): Promise<Image | Refusal> {
    return this.#refusing(async () => {
      const found = await this.#store.find(ref);
      return isRefusal(found) ? found : found.image;
    });
  }

  load(
    archive: Readable,
    report: (progress: Progress) => void,
    signal: AbortSignal,
  ): Promise<Refusal | undefined> {
    return this.#refusing(() =>
      this.#leased(async (lease) => {
        const loader = new Loader(this.#store, lease, report, signal);
        for (const { id, names, target } of await loader.load(archive)) {
          await this.#store.exclusively(async () => {
            if (names.length === 0) await this.#store.keepNameless(target);
            for (const name of names) {
              const renamed = await this.#store.name(name, target);
              if (renamed !== undefined) {
                const short = familiar(name);
                const sentence = `The image ${short} already exists, renaming the old one with ID ${renamed} to empty string`;
                report({ stream: `${sentence}\n` });
              }
            }
          });
          for (const name of names) report({ stream: `Loaded image: ${familiar(name)}\n` });
          if (names.length === 0) report({ stream: `Loaded image ID: ${id}\n` });
          this.#event("load", id, id);
        }
        return undefined;
      }),
    );
  }

  async tag(ref: string, target: string): Promise<Refusal | undefined> {
    const reference = parseTagged(target);
    if (isRefusal(reference)) return reference;
    if (reference.digest !== "") {
      return refuse("invalid-argument", "refusing to create a tag with a digest reference");
    }
    return this.#refusing(() =>
      this.#store.exclusively(async () => {
        const found = await this.#store.find(ref);
        if (isRefusal(found)) return found;
        const [record] = found.records;
        if (record === undefined) return refuse("not-found", `No such image: ${ref}`);
        const manifestDigest = record.manifest.digest;
        await this.#store.name(fullText(reference), { target: record.target, manifestDigest });
        this.#event("tag", found.image.id, familiarText(reference));
        return undefined;
      }),
    );
  }

  remove(
    ref: string,
    options: { readonly force: boolean; readonly prune: boolean },
  ): Promise<readonly Removed[] | Refusal> {
    return this.#refusing(() =>
      this.#store.exclusively(async () => {
        const all = await this.#store.list();
        const found = findIn(all, ref);
        if (isRefusal(found)) return found;
        const users = this.parts.usedBy(found.image.id);
        const plan = planRemoval(found, ref, options.force, users);
        return isRefusal(plan) ? plan : this.#remove(found, plan, all);
      }),
    );
  }

  async #remove(
    found: StoredImage,
    plan: { readonly untag: StoredImage["records"]; readonly image: boolean },
    all: readonly StoredImage[],
  ): Promise<readonly Removed[]> {
    const { image, records } = found;
    const removed: Removed[] = [];
    const left = records.filter((each) => !plan.untag.includes(each));
    const [last] = plan.untag;
    if (!plan.image && left.length === 0 && last !== undefined) {
      // It is used; it stays, nameless.
      await this.#store.dangle(last);
    }
    const going = plan.image ? records : plan.untag;
    for (const [i, record] of going.entries()) {
      // The garbage is collected once, with the last.
      await this.#store.unname(record.name, plan.image && i === going.length - 1);
      if (record.reference === undefined) continue;
      removed.push({ untagged: familiarText(record.reference) });
      this.#event("untag", image.id, image.id);
    }
    if (plan.image) {
      removed.push({ deleted: image.id });
      removed.push(...ownChains(found, all).map((deleted) => ({ deleted })));
      this.#event("delete", image.id, image.id);
    }
    return removed;
  }

  prune(options: { readonly danglingOnly: boolean; readonly keep: (image: Image) => boolean }) {
    return this.#store.exclusively(async () => {
      const removed: Removed[] = [];
      let bytes = 0;
      if (this.problem() !== undefined) return { removed, bytes };
      let all = await this.#store.list();
      for (const each of all) {
        const { image } = each;
        if (options.danglingOnly && image.tags.length + image.digests.length > 0) continue;
        if (options.keep(image) || this.parts.usedBy(image.id).length > 0) continue;
        const own = new Set(ownChains(each, all));
        bytes += await this.#bytesOf(own);
        const named = each.records.filter(({ reference }) => reference !== undefined);
        removed.push(...(await this.#remove(each, { untag: named, image: true }, all)));
        all = all.filter((other) => other !== each);
      }
      return { removed, bytes };
    });
  }

  async #bytesOf(chains: ReadonlySet<string>): Promise<number> {
    let bytes = 0;
    for (const chain of chains) bytes += await this.#store.snapshots.sizeOf(chain);
    return bytes;
  }

  // ---- Registries ---------------------------------------------------------------------------------

  pull(
    ref: string,
    options: PullOptions,
    report: (progress: Progress) => void,
    signal: AbortSignal,
  ): Promise<Refusal | undefined> {
    return this.#refusing(() => this.#registries.pull(ref, options, report, signal));
  }

  push(
    ref: string,
    auth: RegistryAuth | undefined,
    report: (progress: Progress) => void,
    signal: AbortSignal,
  ): Promise<Refusal | undefined> {
    return this.#refusing(() => this.#registries.push(ref, auth, report, signal));
  }

  inspectRemote(ref: string, auth: RegistryAuth | undefined, signal: AbortSignal) {
    return this.#refusing(() => this.#registries.inspect(ref, auth, signal), false);
  }

  checkAuth(auth: RegistryAuth, signal: AbortSignal) {
    return this.#refusing(() => this.#registries.login(auth, signal), false);
  }

  // ---- Archives -----------------------------------------------------------------------------------

  save(refs: readonly string[]): Promise<Readable | Refusal> {
    return this.#refusing(async () => {
      const all = await this.#store.list();
      const saved = new Map<string, Saved>();
      for (const ref of refs) {
        const found = savedBy(all, ref);
        if (isRefusal(found)) return found;
        for (const each of found) {
          const before = saved.get(each.record.manifest.digest);
          const tags = [...(before?.tags ?? []), ...each.tags];
          const once = tags.filter(
            (tag, i) => tags.findIndex((other) => fullText(other) === fullText(tag)) === i,
          );
          saved.set(each.record.manifest.digest, { record: each.record, tags: once });
        }
      }
      return Readable.from(saveArchive(this.#store, [...saved.values()]), { objectMode: false });
    });
  }

  import(
    tar: Readable,
    options: ImportOptions,
    signal: AbortSignal,
  ): Promise<{ readonly id: string } | Refusal> {
    return this.#refusing(async () => {
      const reference = options.ref === "" ? undefined : parseTagged(options.ref);
      if (isRefusal(reference)) return reference;
      if (reference !== undefined && reference.digest !== "") {
        return refuse("invalid-argument", "cannot import digest reference");
      }
      return this.#leased(async (lease) => {
        const nowMs = this.parts.clock.nowMs();
        const { id, target } = await importImage(
          this.#store,
          tar,
          { ...options, nowMs },
          lease,
          signal,
        );
        await this.#store.exclusively(async () => {
          if (reference === undefined) await this.#store.keepNameless(target);
          else await this.#store.name(fullText(reference), target);
        });
        this.#event("import", id, reference === undefined ? id : familiarText(reference));
        return { id };
      });
    });
  }

  // ---- Helpers ----------------------------------------------------------------------------------

  async #leased<T>(work: (lease: string) => Promise<T>): Promise<T> {
    await this.#restored;
    return withLease(this.parts.containerd, this.parts.clock.nowMs(), work);
  }

  /** What was refused within, and containerd's own failures, as a Refusal. */
  async #refusing<T>(work: () => Promise<T>, needsContainerd = true): Promise<T | Refusal> {
    try {
      return (needsContainerd ? this.problem() : undefined) ?? (await work());
    } catch (error) {
      if (error instanceof Refused) return error.refusal;
      if (error instanceof ContainerdFault) {
        const problem = this.problem();
        if (problem !== undefined) return problem;
        if (isDiskFull(error)) {
          return refuse("resource-exhausted", `${error.details}: the disk of containerd is full`);
        }
        if (/archive\/tar|unexpected EOF|gzip:|zstd:|flate:/.test(error.details)) {
          return refuse("invalid-argument", `a layer cannot be unpacked: ${error.details}`);
        }
      }
      throw error;
    }
  }

  #event(action: string, id: string, name: string): void {
    const timeNs = BigInt(this.parts.clock.nowMs()) * 1_000_000n;
    const attributes = { name };
    this.parts.publish({ type: "image", action, id, attributes, scope: "local", timeNs });
  }
}

/** A name without a tag means all its tags, as in dockerd; an id, an image without a name. */
function savedBy(all: readonly StoredImage[], ref: string): readonly Saved[] | Refusal {
  const reference = parseReference(ref);
  const nameOnly = !isRefusal(reference) && reference.tag === "" && reference.digest === "";
  const named = all.flatMap(({ records }) =>
    records.flatMap((record) => {
      const { reference: own } = record;
      if (!nameOnly || own === undefined || own.digest !== "") return [];
      return nameOf(own) === nameOf(reference) ? [{ record, tags: [own] }] : [];
    }),
  );
  if (named.length > 0) return named;
  const found = findIn(all, ref);
  if (isRefusal(found)) return found;
  const called = isRefusal(reference)
    ? undefined
    : found.records.find((each) => isCalled(each, reference));
  const record = called ?? found.records[0];
  if (record === undefined) return refuse("not-found", `No such image: ${ref}`);
  const own = called?.reference;
  return [{ record, tags: own === undefined || own.digest !== "" ? [] : [own] }];
}

function familiar(name: string): string {
  const reference = parseTagged(name);
  return isRefusal(reference) ? name : familiarText(reference);
}
