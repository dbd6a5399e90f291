import { describe, expect, test } from "vitest";
import { isRefusal } from "../../common/fault.js";
import { Endpoint, Network } from "../../proto/gen/types.js";
import type { AttachWish } from "../seams.js";
import {
  attachmentEvents,
  chooseInterface,
  findAttachment,
  pathOf,
  refuseNamespace,
  refuseWish,
  sandboxOf,
} from "./attachment.js";
import type { AttachmentRecord, NamespaceLook } from "./keeping.js";

const wish = (parts: Partial<AttachWish> = {}): AttachWish => ({
  ...{ network: "overnet", netns: "", name: "", interfaceName: "" },
  ...{ ipv4: "", ipv6: "", aliases: [] },
  ...parts,
});
const record = (id: string, parts: Partial<AttachWish> = {}): AttachmentRecord => ({
  id,
  wish: wish(parts),
  interfaceName: "eth0",
  createdAtMs: 0,
  given: {
    endpoint: Endpoint.create({ id, name: parts.name ?? "h1", ipv4: "10.0.1.2/24" }),
    network: Network.create({ id: `id of ${parts.network}`, spec: { name: parts.network ?? "" } }),
  },
  trouble: "",
});

describe("where a wish leads", () => {
  const cases = [
    { name: "nothing is named: the machine itself", netns: "", path: undefined },
    { name: "a name is one of iproute2's", netns: "build", path: "/run/netns/build" },
    { name: "a path is itself", netns: "/proc/1/ns/net", path: "/proc/1/ns/net" },
  ];
  for (const { name, netns, path } of cases) {
    test(name, () => {
      expect(pathOf(wish({ netns }))).toBe(path);
      const kind = path === undefined ? "host" : "foreign";
      expect(sandboxOf(wish({ netns }))).toMatchObject({ kind });
    });
  }

  test("on the machine the interface has the network's name, elsewhere the first that is free", () => {
    expect(chooseInterface({ kind: "host" }, "overnet", new Set())).toBe("sk-overnet");
    const foreign = { kind: "foreign", path: "/run/netns/build" } as const;
    expect(chooseInterface(foreign, "overnet", new Set(["lo", "eth0"]))).toBe("eth1");
  });
});

describe("what is refused", () => {
  const cases: { name: string; parts: Partial<AttachWish>; says: RegExp | undefined }[] = [
    { name: "nothing, of a plain wish", parts: {}, says: undefined },
    { name: "a network of one node", parts: { network: "host" }, says: /not one of the swarm/ },
    { name: "a name that is none", parts: { name: "a b" }, says: /name/ },
    { name: "a name that is taken", parts: { name: "taken" }, says: /is there already/ },
    { name: "an interface's name", parts: { interfaceName: "a/b" }, says: /invalid interface/ },
    { name: "a namespace's name with a slash", parts: { netns: "a/b" }, says: /absolute path/ },
    { name: "a namespace's name with a dot before it", parts: { netns: ".." }, says: /absolute/ },
  ];
  for (const { name, parts, says } of cases) {
    test(name, () => {
      const message = refuseWish(wish(parts), (each) => each === "taken")?.message;
      if (says === undefined) expect(message).toBeUndefined();
      else expect(message).toMatch(says);
    });
  }

  const looks: { name: string; seen: NamespaceLook; says: RegExp | undefined }[] = [
    { name: "no file", seen: { kind: "missing" }, says: /no file \/run\/netns\/x/ },
    { name: "another file", seen: { kind: "other", why: "a folder" }, says: /a folder/ },
    {
      name: "the machine's own",
      seen: { kind: "namespace", inode: "1", isOwn: true },
      says: /naming none/,
    },
    {
      name: "nothing, of somebody else's",
      seen: { kind: "namespace", inode: "2", isOwn: false },
      says: undefined,
    },
  ];
  for (const { name, seen, says } of looks) {
    test(`a namespace: ${name}`, () => {
      const message = refuseNamespace("x", "/run/netns/x", seen)?.message;
      if (says === undefined) expect(message).toBeUndefined();
      else expect(message).toMatch(says);
    });
  }
});

describe("which one is meant", () => {
  const records = [
    record("aaaa1", { name: "db", network: "back" }),
    record("aaaa2", { network: "front" }),
    record("bbbb1", { network: "front" }),
    { ...record("cccc1", { network: "new" }), given: undefined },
  ];
  const cases = [
    { ref: "db", means: "aaaa1" },
    { ref: "bbbb", means: "bbbb1" },
    { ref: "back", means: "aaaa1" },
    { ref: "aaaa", means: "more than one" },
    { ref: "front", means: "more than one" },
    { ref: "new", means: "No such attachment" },
  ];
  for (const { ref, means } of cases) {
    test(`${ref}: ${means}`, () => {
      const found = findAttachment(records, ref);
      expect(isRefusal(found) ? found.message : found.id).toContain(means);
    });
  }
});

test("an attachment is news of its own, and of its network", () => {
  const events = attachmentEvents("create", record("aaaa1", { network: "back" }), 5);
  expect(events.map(({ type, action }) => `${type} ${action}`)).toEqual([
    "attachment create",
    "network connect",
  ]);
  expect(events[0]?.timeNs).toBe(5_000_000n);
  expect(attachmentEvents("remove", { ...record("a"), given: undefined }, 5)).toEqual([]);
});
