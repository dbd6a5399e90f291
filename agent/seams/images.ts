// Images of this node, in containerd, from registries and archives.

import type { Readable } from "node:stream";
import type { Refusal } from "../../common/fault.js";
import type { HealthCheck } from "../task/container-spec.js";

/** The part of an image's config (OCI image-spec, Docker's ContainerConfig) that a container starts from. */
export interface ImageConfig {
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  readonly env: readonly string[];
  readonly workingDir: string;
  readonly user: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly exposed: readonly string[];
  readonly volumes: readonly string[];
  readonly stopSignal: string;
  readonly healthCheck: HealthCheck | null | undefined;
  readonly shell: readonly string[];
}

export interface Image {
  /** "sha256:…" of its config. */
  readonly id: string;
  /** "alpine:latest", "registry.example:5000/app:2", shortened as Docker shows them. */
  readonly tags: readonly string[];
  /** "alpine@sha256:…". */
  readonly digests: readonly string[];
  readonly createdAtMs: number;
  /** Unpacked. */
  readonly sizeBytes: number;
  readonly architecture: string;
  readonly os: string;
  readonly variant: string;
  readonly author: string;
  readonly comment: string;
  readonly config: ImageConfig;
  /** Diff ids, base first. */
  readonly layers: readonly string[];
  readonly history: readonly {
    readonly createdAtMs: number;
    readonly createdBy: string;
    readonly comment: string;
    readonly emptyLayer: boolean;
    readonly sizeBytes: number;
  }[];
}

/** The API's JSONMessage, one line of progress. */
export interface Progress {
  readonly status?: string;
  readonly id?: string;
  readonly progressDetail?: { readonly current?: number; readonly total?: number };
  readonly stream?: string;
  readonly aux?: unknown;
}

/** What `docker login` keeps and the client sends (X-Registry-Auth). */
export interface RegistryAuth {
  readonly username: string;
  readonly password: string;
  readonly identityToken: string;
  readonly registryToken: string;
  readonly serverAddress: string;
}

export interface PlatformWish {
  readonly os: string;
  readonly architecture: string;
  readonly variant: string;
}

export interface ImportOptions {
  readonly ref: string;
  readonly message: string;
  /** Dockerfile instructions (CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, USER, VOLUME, WORKDIR …). */
  readonly changes: readonly string[];
  readonly platform: PlatformWish | undefined;
}

/** `ref` is an id, an unambiguous prefix of one, a tag, or a digest ("alpine", "alpine:3", "alpine@sha256:…"). */
export interface Images {
  /** Why there are none on this node (no containerd), as a Refusal; undefined when there can be. */
  problem(): Refusal | undefined;
  list(): Promise<readonly Image[]>;
  get(ref: string): Promise<Image | Refusal>;
  /** A Refusal ends it: it is the client's last line of progress. Pulls of one image at once share the work. */
  pull(
    ref: string,
    options: {
      readonly platform: PlatformWish | undefined;
      readonly auth: RegistryAuth | undefined;
    },
    report: (progress: Progress) => void,
    signal: AbortSignal,
  ): Promise<Refusal | undefined>;
  push(
    ref: string,
    auth: RegistryAuth | undefined,
    report: (progress: Progress) => void,
    signal: AbortSignal,
  ): Promise<Refusal | undefined>;
  /** A docker-archive or an OCI layout, plain or compressed. */
  load(
    archive: Readable,
    report: (progress: Progress) => void,
    signal: AbortSignal,
  ): Promise<Refusal | undefined>;
  save(refs: readonly string[]): Promise<Readable | Refusal>;
  /** One layer from a tar. */
  import(
    tar: Readable,
    options: ImportOptions,
    signal: AbortSignal,
  ): Promise<{ readonly id: string } | Refusal>;
  tag(ref: string, target: string): Promise<Refusal | undefined>;
  /** Refused while a container uses it (`usedBy` answers which), unless only a tag goes. */
  remove(
    ref: string,
    options: { readonly force: boolean; readonly prune: boolean },
  ): Promise<readonly ({ readonly untagged: string } | { readonly deleted: string })[] | Refusal>;
  prune(options: {
    readonly danglingOnly: boolean;
    readonly keep: (image: Image) => boolean;
  }): Promise<{
    readonly removed: readonly ({ readonly untagged: string } | { readonly deleted: string })[];
    readonly bytes: number;
  }>;
  /** What a registry has under this name, without pulling it: digest and platforms. */
  inspectRemote(
    ref: string,
    auth: RegistryAuth | undefined,
    signal: AbortSignal,
  ): Promise<
    | {
        readonly mediaType: string;
        readonly digest: string;
        readonly size: number;
        readonly platforms: readonly PlatformWish[];
      }
    | Refusal
  >;
  /** `docker login`: whether the registry takes it. */
  checkAuth(
    auth: RegistryAuth,
    signal: AbortSignal,
  ): Promise<Refusal | { readonly status: string }>;
}
