// Which image exactly a service runs: the digest that its tag has at the registry now, so that all nodes
// run the same one; and the platforms that it is made for, so that no other node is tried.
import type { Cli } from "../cli.js";
import { DaemonError } from "../http/api.js";
import { items, text } from "../json.js";

export interface Resolved {
  /** With the digest, where the registry told it. */
  readonly image: string;
  /** What to tell the person once the service is made. */
  readonly warning: string;
  readonly platforms: readonly { readonly Architecture: string; readonly OS: string }[];
}

/** Docker's client says it so, too: the service is made all the same. */
function warning(image: string): string {
  return `image ${image} could not be accessed on a registry to record
its digest. Each node will access ${image} independently,
possibly leading to different nodes running different
versions of the image.

`;
}

export async function resolveImage(cli: Cli, image: string): Promise<Resolved> {
  if (image.includes("@") || !isReference(image)) return { image, platforms: [], warning: "" };
  try {
    const found = await cli.api.get(`/distribution/${image}/json`);
    const digest = text(found, "Descriptor", "digest");
    const platforms = items(found, "Platforms").map((one) => ({
      Architecture: text(one, "architecture"),
      OS: text(one, "os"),
    }));
    return { image: digest === "" ? image : `${image}@${digest}`, platforms, warning: "" };
  } catch (error) {
    if (!(error instanceof DaemonError)) throw error;
    return { image, platforms: [], warning: warning(image) };
  }
}

/** What is no reference is the manager's to refuse, in its words. */
function isReference(image: string): boolean {
  return /^[a-z0-9.:-]+(\/[a-z0-9._-]+)*(:[\w.-]+)?$/.test(image) && !image.startsWith("process");
}
