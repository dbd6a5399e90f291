import { expect, test } from "vitest";
import { isRefusal } from "../../common/fault.js";
import { MEDIA } from "../oci/manifest.js";
import { parseReference, type Reference } from "../oci/reference.js";
import { planRemoval, type UsingContainer } from "./removal.js";
import type { StoredImage } from "./store.js";

const ID = `sha256:${"1".repeat(64)}`;
const DIGEST = `sha256:${"2".repeat(64)}`;

function image(...names: readonly string[]): StoredImage {
  const descriptor = { mediaType: MEDIA.ociManifest, digest: DIGEST, size: 1 };
  const parsed = {
    kind: "manifest" as const,
    mediaType: MEDIA.ociManifest,
    config: descriptor,
    layers: [],
  };
  return {
    image: { id: ID, layers: [] } as unknown as StoredImage["image"],
    records: names.map((name) => ({
      name,
      reference: name === "" ? undefined : (parseReference(name) as Reference),
      target: descriptor,
      manifest: { ...descriptor, parsed },
    })),
  };
}

const running: UsingContainer = { id: "a".repeat(64), running: true };
const stopped: UsingContainer = { id: "b".repeat(64), running: false };
const short = "1".repeat(12);
const d = `app@${DIGEST}`;

const cases: readonly (readonly [
  name: string,
  names: readonly string[],
  ref: string,
  force: boolean,
  users: readonly UsingContainer[],
  want: { readonly untag: readonly string[]; readonly image: boolean } | string,
])[] = [
  ["the only tag", ["app:1"], "app:1", false, [], { untag: ["app:1"], image: true }],
  [
    "one of two tags",
    ["app:1", "app:2"],
    "app:1",
    false,
    [stopped],
    { untag: ["app:1"], image: false },
  ],
  [
    "the last tag takes the digest along",
    ["app:1", d],
    "app:1",
    false,
    [],
    { untag: ["app:1", d], image: true },
  ],
  [
    "a digest that another tag needs stays",
    ["app:1", "app:2", d],
    "app:1",
    false,
    [],
    { untag: ["app:1"], image: false },
  ],
  [
    "by id, one tag with its digest",
    ["app:1", d],
    short,
    false,
    [],
    { untag: ["app:1", d], image: true },
  ],
  [
    "by id, two tags",
    ["app:1", "b:1"],
    short,
    false,
    [],
    `conflict: unable to delete ${short} (must be forced) - image is referenced in multiple repositories`,
  ],
  [
    "by id, two tags, forced",
    ["app:1", "b:1"],
    short,
    true,
    [],
    { untag: ["app:1", "b:1"], image: true },
  ],
  [
    "by id, a stopped container",
    ["app:1"],
    short,
    false,
    [stopped],
    `conflict: unable to delete ${short} (must be forced) - image is being used by stopped container bbbbbbbbbbbb`,
  ],
  [
    "by id, a running container, forced",
    ["app:1"],
    short,
    true,
    [running],
    `conflict: unable to delete ${short} (cannot be forced) - image is being used by running container aaaaaaaaaaaa`,
  ],
  [
    "by tag, a container",
    ["app:1"],
    "app:1",
    false,
    [stopped],
    `conflict: unable to remove repository reference "app:1" (must force) - container bbbbbbbbbbbb is using its referenced image ${short}`,
  ],
  [
    "by tag, a stopped container, forced",
    ["app:1"],
    "app:1",
    true,
    [stopped],
    { untag: ["app:1"], image: true },
  ],
  [
    "by tag, a running container, forced: it stays nameless",
    ["app:1"],
    "app:1",
    true,
    [running],
    { untag: ["app:1"], image: false },
  ],
  ["one without a name", [""], short, false, [], { untag: [], image: true }],
];
for (const [name, names, ref, force, users, want] of cases) {
  test(name, () => {
    const plan = planRemoval(image(...names), ref, force, users);
    if (isRefusal(plan)) expect(plan.message).toBe(want);
    else expect({ untag: plan.untag.map((each) => each.name), image: plan.image }).toEqual(want);
  });
}
