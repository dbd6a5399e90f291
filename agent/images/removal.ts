// What may be removed, and what goes with it: dockerd's rules (daemon/images/image_delete.go), decided on
// what is there.
import { type Refusal, refuse } from "../../common/fault.js";
import { chainIdOf, shortDigest } from "../oci/digest.js";
import { nameOf, parseTagged } from "../oci/reference.js";
import { isCalled, type StoredImage, type StoredRecord } from "./store.js";

export interface UsingContainer {
  readonly id: string;
  readonly running: boolean;
}

export interface Removal {
  /** Names to take. */
  readonly untag: readonly StoredRecord[];
  /** Whether the image goes; if not, and no name is left, it dangles. */
  readonly image: boolean;
}

export function planRemoval(
  { image, records }: StoredImage,
  ref: string,
  force: boolean,
  users: readonly UsingContainer[],
): Removal | Refusal {
  const named = records.filter(({ reference }) => reference !== undefined);
  const wanted = parseTagged(ref);
  const asked = "domain" in wanted ? named.filter((each) => isCalled(each, wanted)) : [];
  const running = users.find((each) => each.running);
  const stopped = users.find((each) => !each.running);
  if (asked.length > 0) {
    const untag = withLeftDigests(named, asked);
    if (untag.length < named.length) return { untag, image: false };
    const [user] = users;
    if (user !== undefined && !force) {
      return refuse(
        "failed-precondition",
        `conflict: unable to remove repository reference "${ref}" (must force) - container ` +
          `${user.id.slice(0, 12)} is using its referenced image ${shortDigest(image.id)}`,
      );
    }
    return { untag, image: running === undefined };
  }
  if (running !== undefined) {
    const sentence = `image is being used by running container ${running.id.slice(0, 12)}`;
    return conflict(image.id, "cannot be forced", sentence);
  }
  if (!force && severalRepositories(named)) {
    return conflict(image.id, "must be forced", "image is referenced in multiple repositories");
  }
  if (!force && stopped !== undefined) {
    const sentence = `image is being used by stopped container ${stopped.id.slice(0, 12)}`;
    return conflict(image.id, "must be forced", sentence);
  }
  return { untag: named, image: true };
}

/** A repository's last tag takes its digests along. */
function withLeftDigests(
  named: readonly StoredRecord[],
  asked: readonly StoredRecord[],
): readonly StoredRecord[] {
  const left = named.filter((each) => !asked.includes(each));
  const repositories = new Set(asked.map(repositoryOf));
  const orphans = left.filter(
    (each) =>
      repositories.has(repositoryOf(each)) &&
      !left.some((other) => isTag(other) && repositoryOf(other) === repositoryOf(each)),
  );
  return [...asked, ...orphans];
}

function severalRepositories(named: readonly StoredRecord[]): boolean {
  const tags = named.filter(isTag);
  return tags.length > 1 || new Set(named.map(repositoryOf)).size > 1;
}

function isTag({ reference }: StoredRecord): boolean {
  return reference?.digest === "";
}

function repositoryOf({ reference }: StoredRecord): string {
  return reference === undefined ? "" : nameOf(reference);
}

function conflict(id: string, forced: string, why: string): Refusal {
  const sentence = `conflict: unable to delete ${shortDigest(id)} (${forced}) - ${why}`;
  return refuse("failed-precondition", sentence);
}

/** Its layers that no other image has, top first: "Deleted: sha256:…" for each. */
export function ownChains(gone: StoredImage, others: readonly StoredImage[]): readonly string[] {
  const chainsOf = ({ image }: StoredImage) =>
    image.layers.map((_, i) => chainIdOf(image.layers.slice(0, i + 1)));
  const kept = new Set(others.filter(({ image }) => image.id !== gone.image.id).flatMap(chainsOf));
  return chainsOf(gone)
    .filter((chain) => !kept.has(chain))
    .reverse();
}
