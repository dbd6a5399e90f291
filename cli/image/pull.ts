// Fetches an image; also on behalf of `run`, when it is not on this node.
import { type Cli, Failure, type Output } from "../cli.js";
import { authHeaders } from "./auth.js";
import { showProgress } from "./progress.js";

export interface PullWish {
  readonly image: string;
  readonly platform: string;
  readonly quiet: boolean;
  readonly allTags: boolean;
}

export async function pullImage(cli: Cli, wish: PullWish, out: Output): Promise<void> {
  const { name, tag } = nameAndTag(wish.image, wish.allTags);
  const stream = await cli.api.stream("POST", "/images/create", {
    query: {
      fromImage: name,
      ...(tag === "" ? {} : { tag }),
      ...(wish.platform === "" ? {} : { platform: wish.platform }),
    },
    headers: await authHeaders(cli, wish.image),
  });
  await showProgress(cli, stream, out, wish.quiet);
}

/** The API wants the tag, or the digest, apart. */
export function nameAndTag(
  image: string,
  allTags: boolean,
): { readonly name: string; readonly tag: string } {
  const digest = image.indexOf("@");
  if (digest >= 0) return { name: image.slice(0, digest), tag: image.slice(digest + 1) };
  const colon = image.lastIndexOf(":");
  const hasTag = colon > image.lastIndexOf("/");
  if (hasTag && allTags) throw new Failure("tag can't be used with --all-tags/-a");
  if (hasTag) return { name: image.slice(0, colon), tag: image.slice(colon + 1) };
  return { name: image, tag: allTags ? "" : "latest" };
}
