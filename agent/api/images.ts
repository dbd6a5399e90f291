// Images: /images, /distribution and /auth of the Engine API.
import { isRefusal } from "../../common/fault.js";
import { normalized, parsePlatform, platformText } from "../oci/platform.js";
import { familiarText, parseReference, parseTagged } from "../oci/reference.js";
import type { Image, PlatformWish } from "../seams.js";
import { type Answer, empty, json, stream } from "./answer.js";
import { type Call, param, queryFlag, queryText } from "./call.js";
import { flagFilter, lacksLabels, matchesLabels, parseFilters } from "./filters.js";
import { badRequest, HttpError, here, notFound, unserved } from "./http-error.js";
import { LIST_FILTERS, listed, PRUNE_FILTERS, untilOf } from "./image-filters.js";
import { historyJson, imageJson, imageSummaryJson } from "./image-json.js";
import { objectOf, parseJson, textIn } from "./json.js";
import { progressStream } from "./progress-stream.js";
import { authOf, registryAuth } from "./registry-auth.js";
import { type Route, route } from "./router.js";

export const IMAGE_ROUTES: readonly Route[] = [
  route("GET", "/images/json", list),
  route("POST", "/images/create", create),
  route("POST", "/images/load", load),
  route("POST", "/images/prune", prune),
  route("GET", "/images/get", (call) => save(call, call.query.getAll("names"))),
  route("GET", "/images/search", () => {
    throw unserved("searching a registry is");
  }),
  route("GET", "/images/{name...}/get", (call) => save(call, [param(call, "name")])),
  route("GET", "/images/{name...}/json", inspect),
  route("GET", "/images/{name...}/history", history),
  route("POST", "/images/{name...}/tag", tag),
  route("POST", "/images/{name...}/push", push),
  route("DELETE", "/images/{name...}", remove),
  route("GET", "/distribution/{name...}/json", distribution),
  route("POST", "/auth", login),
];

async function list(call: Call): Promise<Answer> {
  const filters = parseFilters(queryText(call, "filters"), LIST_FILTERS);
  const found = listed(await call.node.images.list(), filters, call.clock.nowMs());
  if (queryFlag(call, "shared-size")) throw unserved("counting what images share is");
  const extra = { containers: -1, sharedSize: -1 };
  return json(found.map((image) => imageSummaryJson(image, call.version, extra)));
}

async function inspect(call: Call): Promise<Answer> {
  return json(imageJson(await ofPlatform(call, param(call, "name")), call.version));
}

async function history(call: Call): Promise<Answer> {
  return json(historyJson(await ofPlatform(call, param(call, "name"))));
}

/** An image is here for one platform; `platform=` may name that. */
async function ofPlatform(call: Call, ref: string): Promise<Image> {
  const image = here(await call.node.images.get(ref));
  const wanted = platformOf(call);
  if (wanted === undefined) return image;
  const have = normalized(image);
  const asked = { ...wanted, variant: wanted.variant || have.variant };
  if (platformText(asked) === platformText(have)) return image;
  throw notFound(
    `image with reference ${ref} was found but does not provide the specified platform (${platformText(wanted)})`,
  );
}

/** `docker pull`, and `docker import` when there is a source. */
async function create(call: Call): Promise<Answer> {
  const source = queryText(call, "fromSrc");
  return source === "" ? pull(call) : importImage(call, source);
}

async function pull(call: Call): Promise<Answer> {
  const name = queryText(call, "fromImage");
  if (name === "") throw badRequest("fromImage is missing: it says which image to pull");
  const ref = withTag(name, queryText(call, "tag"));
  const reference = here(parseTagged(ref));
  const platform = platformOf(call);
  const auth = registryAuth(call);
  return progressStream(call, (report) =>
    call.node.images.pull(familiarText(reference), { platform, auth }, report, call.signal),
  );
}

/** The tag may be a digest; then it stands after an "@". */
function withTag(name: string, tag: string): string {
  if (tag === "") return name;
  const bare = here(parseReference(name));
  const plain = familiarText({ ...bare, tag: "", digest: "" });
  return tag.includes(":") ? `${plain}@${tag}` : `${plain}:${tag}`;
}

async function importImage(call: Call, source: string): Promise<Answer> {
  if (source !== "-") {
    throw unserved("importing from a URL (fetch it, and import from a file) is");
  }
  const name = queryText(call, "repo");
  const ref = name === "" ? "" : withTag(name, queryText(call, "tag"));
  const options = {
    ref,
    message: queryText(call, "message"),
    changes: call.query.getAll("changes"),
    platform: platformOf(call),
  };
  return progressStream(call, async (report) => {
    const made = await call.node.images.import(call.upload(), options, call.signal);
    if (isRefusal(made)) return made;
    report({ status: made.id });
    return undefined;
  });
}

function load(call: Call): Promise<Answer> {
  const quiet = queryFlag(call, "quiet");
  const only = platformOf(call);
  if (only !== undefined) throw unserved("loading one platform of an archive is");
  return progressStream(call, (report) =>
    call.node.images.load(
      call.upload(),
      (progress) => {
        if (!quiet || progress.stream !== undefined) report(progress);
      },
      call.signal,
    ),
  );
}

async function save(call: Call, refs: readonly string[]): Promise<Answer> {
  if (refs.length === 0) throw badRequest("no image names are given (names=…)");
  if (call.query.has("platform")) for (const ref of refs) await ofPlatform(call, ref);
  return stream("application/x-tar", here(await call.node.images.save(refs)));
}

async function tag(call: Call): Promise<Answer> {
  const repository = queryText(call, "repo");
  if (repository === "") throw badRequest("invalid reference format");
  const target = withTag(repository, queryText(call, "tag"));
  here(await call.node.images.tag(param(call, "name"), target));
  return empty(201);
}

async function push(call: Call): Promise<Answer> {
  if (queryText(call, "platform") !== "") throw unserved("pushing one platform of an image is");
  const name = param(call, "name");
  const ref = withTag(name, queryText(call, "tag"));
  const auth = registryAuth(call);
  return progressStream(call, (report) => call.node.images.push(ref, auth, report, call.signal));
}

async function remove(call: Call): Promise<Answer> {
  if (call.query.has("platforms")) throw unserved("removing one platform of an image is");
  const removed = here(
    await call.node.images.remove(param(call, "name"), {
      force: queryFlag(call, "force"),
      prune: !queryFlag(call, "noprune"),
    }),
  );
  return json(removed.map(removedJson));
}

function removedJson(each: { readonly untagged: string } | { readonly deleted: string }): object {
  return "untagged" in each ? { Untagged: each.untagged } : { Deleted: each.deleted };
}

async function prune(call: Call): Promise<Answer> {
  const filters = parseFilters(queryText(call, "filters"), PRUNE_FILTERS);
  const until = untilOf(filters, call.clock.nowMs());
  const { removed, bytes } = await call.node.images.prune({
    danglingOnly: flagFilter(filters, "dangling") ?? true,
    keep: ({ createdAtMs, config: { labels } }) =>
      createdAtMs >= until ||
      !matchesLabels(filters, "label", labels) ||
      (filters.has("label!") && !lacksLabels(filters, "label!", labels)),
  });
  const deleted = removed.length === 0 ? null : removed.map(removedJson);
  return json({ ImagesDeleted: deleted, SpaceReclaimed: bytes });
}

async function distribution(call: Call): Promise<Answer> {
  const found = here(
    await call.node.images.inspectRemote(param(call, "name"), registryAuth(call), call.signal),
  );
  return json({
    Descriptor: { mediaType: found.mediaType, digest: found.digest, size: found.size },
    Platforms: found.platforms.map(({ os, architecture, variant }) => ({
      architecture,
      os,
      ...(variant !== "" && { variant }),
    })),
  });
}

async function login(call: Call): Promise<Answer> {
  const auth = authOf(objectOf(await call.body(), "AuthConfig"));
  const answer = await call.node.images.checkAuth(auth, call.signal);
  if (isRefusal(answer) && answer.code === "permission-denied") {
    throw new HttpError(401, answer.message);
  }
  return json({ Status: here(answer).status, IdentityToken: "" });
}

/** "linux/arm64", or the JSON of a platform, as newer clients send it. */
function platformOf(call: Call): PlatformWish | undefined {
  const written = queryText(call, "platform");
  if (written === "") return undefined;
  if (!written.startsWith("{")) return here(parsePlatform(written));
  const object = objectOf(parseJson(written), "platform");
  const [os, architecture, variant] = ["os", "architecture", "variant"].map((key) =>
    textIn(object, key),
  );
  const whole = { os: os ?? "", architecture: architecture ?? "", variant: variant ?? "" };
  return here(parsePlatform(platformText(whole)));
}
