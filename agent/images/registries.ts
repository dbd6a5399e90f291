// Images and registries: what is fetched, what is sent, and what is only asked. Throws Refused for what a
// registry does not give.
import type { Clock } from "../../common/clock.js";
import { isRefusal, type Refusal, Refused, refuse } from "../../common/fault.js";
import { parseConfig } from "../oci/image-config.js";
import {
  familiarName,
  familiarText,
  fullText,
  nameOf,
  parseReference,
  parseTagged,
  type Reference,
} from "../oci/reference.js";
import { loginReference, RegistryClient } from "../registry/client.js";
import type { PlatformWish, Progress, RegistryAuth } from "../seams.js";
import { Pull } from "./pull.js";
import { push } from "./push.js";
import { SharedPulls } from "./sharing.js";
import type { ImageStore } from "./store.js";

export interface PullOptions {
  readonly platform: PlatformWish | undefined;
  readonly auth: RegistryAuth | undefined;
}

export class ImageRegistries {
  readonly #pulls = new SharedPulls();

  constructor(
    private readonly store: ImageStore,
    private readonly clock: Clock,
    /** Runs it with a lease for what it makes. */
    private readonly leased: <T>(work: (lease: string) => Promise<T>) => Promise<T>,
    private readonly event: (action: string, id: string, name: string) => void,
  ) {}

  async pull(
    ref: string,
    options: PullOptions,
    report: (progress: Progress) => void,
    signal: AbortSignal,
  ): Promise<Refusal | undefined> {
    const reference = parseTagged(ref);
    if (isRefusal(reference)) return reference;
    const { platform, auth } = options;
    // Whoever has no right to an image must not share the pull of one who has.
    const key = JSON.stringify([fullText(reference), platform, auth]);
    return this.#pulls.join(
      key,
      (tell, ending) => this.#pull(reference, options, tell, ending),
      report,
      signal,
    );
  }

  #pull(
    reference: Reference,
    options: PullOptions,
    report: (progress: Progress) => void,
    signal: AbortSignal,
  ): Promise<Refusal | undefined> {
    const client = new RegistryClient(reference, options.auth, "pull", signal);
    return this.leased(async (lease) => {
      try {
        const { platform } = options;
        const pull = new Pull(
          this.store,
          client,
          reference,
          platform,
          lease,
          report,
          this.clock,
          signal,
        );
        await pull.run();
        this.event("pull", familiarText(reference), familiarName(reference));
        return undefined;
      } finally {
        client.close();
      }
    });
  }

  async push(
    ref: string,
    auth: RegistryAuth | undefined,
    report: (progress: Progress) => void,
    signal: AbortSignal,
  ): Promise<Refusal | undefined> {
    const reference = parseReference(ref);
    if (isRefusal(reference)) return reference;
    if (reference.digest !== "") {
      return refuse("invalid-argument", "cannot push a digest reference");
    }
    const all = (await this.store.list()).flatMap(({ records }) => records);
    const wanted = all.filter(
      (record) =>
        record.reference?.digest === "" &&
        nameOf(record.reference) === nameOf(reference) &&
        (reference.tag === "" || record.reference.tag === reference.tag),
    );
    if (wanted.length === 0) {
      const name = nameOf(reference);
      const sentence =
        reference.tag === ""
          ? `An image does not exist locally with the tag: ${name}`
          : `tag does not exist: ${familiarText(reference)}`;
      return refuse("not-found", sentence);
    }
    for (const record of wanted) {
      const one = record.reference ?? reference;
      await this.#asking(one, auth, "pull,push", signal, (client) =>
        push(this.store, client, one, record, report),
      );
      this.event("push", familiarText(one), familiarName(one));
    }
    return undefined;
  }

  async inspect(ref: string, auth: RegistryAuth | undefined, signal: AbortSignal) {
    const reference = parseTagged(ref);
    if (isRefusal(reference)) return reference;
    return this.#asking(reference, auth, "pull", signal, async (client) => {
      const { parsed, bytes, mediaType, digest } = await client.manifest(
        reference.digest || reference.tag,
      );
      const platforms =
        parsed.kind === "index"
          ? parsed.manifests.flatMap(({ platform }) => platform ?? [])
          : [platformOf(await client.config(parsed.config))];
      return { mediaType, digest, size: bytes.length, platforms };
    });
  }

  /** Whether the registry takes them. */
  async login(auth: RegistryAuth, signal: AbortSignal) {
    const reference = loginReference(auth.serverAddress);
    if (reference === undefined) {
      return refuse(
        "invalid-argument",
        `invalid registry address ${JSON.stringify(auth.serverAddress)}`,
      );
    }
    await this.#asking(reference, auth, "pull", signal, (client) => client.login());
    return { status: "Login Succeeded" };
  }

  async #asking<T>(
    reference: Reference,
    auth: RegistryAuth | undefined,
    actions: "pull" | "pull,push",
    signal: AbortSignal,
    work: (client: RegistryClient) => Promise<T>,
  ): Promise<T> {
    const client = new RegistryClient(reference, auth, actions, signal);
    try {
      return await work(client);
    } finally {
      client.close();
    }
  }
}

function platformOf(bytes: Buffer): PlatformWish {
  const config = parseConfig(bytes);
  if (typeof config !== "string") return config;
  throw new Refused(refuse("failed-precondition", `the image's config cannot be used: ${config}`));
}
