// Pulls that go wrong, with a real containerd: nothing half-made stays, and what went wrong is said.
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { gzipSync } from "node:zlib";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { Blobs } from "../../agent/images/blobs.js";
import { ContainerdImages } from "../../agent/images/images.js";
import { withLease } from "../../agent/images/leases.js";
import { sentenceOf } from "../../agent/member/fault-sentence.js";
import { digestOf } from "../../agent/oci/digest.js";
import { MEDIA } from "../../agent/oci/manifest.js";
import type { NodeEvent, Progress } from "../../agent/seams.js";
import { systemClock } from "../../common/clock.js";
import { isRefusal } from "../../common/fault.js";
import { FakeRegistry, sendBlob, tarOf } from "../fakes/registry.js";
import { type OwnContainerd, ownContainerd } from "../images/containerd.js";
import { until } from "./lab.js";

let own: OwnContainerd;
let images: ContainerdImages;
let registry: FakeRegistry;
const events: NodeEvent[] = [];

beforeAll(async () => {
  own = await ownContainerd();
  images = new ContainerdImages({
    containerd: own.containerd,
    clock: systemClock,
    publish: (event) => void events.push(event),
    usedBy: () => [],
  });
});
afterAll(async () => {
  await own?.stop();
});
beforeEach(async () => {
  registry = await FakeRegistry.start();
});
afterEach(async () => {
  await registry.close();
  await images.prune({ danglingOnly: false, keep: () => false });
  await nothingLeft();
});

/** No blob, no writing, no lease and no snapshot. */
async function nothingLeft(): Promise<void> {
  const { containerd } = own;
  const { content, leases, images: names } = containerd;
  await until("containerd is empty", async () => {
    const [writing, held, named] = await Promise.all([
      containerd.call(content.listStatuses.bind(content), { filters: [] }),
      containerd.call(leases.list.bind(leases), { filters: [] }),
      containerd.call(names.list.bind(names), { filters: [] }),
    ]);
    expect([writing.statuses, held.leases, named.images]).toEqual([[], [], []]);
    const blobs = [];
    for await (const { info } of content.list({ filters: [] }, containerd.metadata()))
      blobs.push(...info);
    expect(blobs.map(({ digest }) => digest)).toEqual([]);
    return true;
  });
}

function pull(
  report: (progress: Progress) => void = () => undefined,
  signal?: AbortSignal,
  platform?: string,
) {
  const [os = "", architecture = ""] = (platform ?? "").split("/");
  return images.pull(
    `${registry.host}/app:1`,
    {
      platform: platform === undefined ? undefined : { os, architecture, variant: "" },
      auth: undefined,
    },
    report,
    signal ?? new AbortController().signal,
  );
}

const isBlob = (path: string) => path.includes("/blobs/");

test("a layer that never comes whole leaves nothing", async () => {
  await registry.addImage("1", ["a", "b".repeat(200_000), "c"]);
  const manifest = registry.manifests.get("1");
  const { layers } = JSON.parse(manifest?.bytes.toString() ?? "") as {
    layers: { digest: string }[];
  };
  registry.hook = (_, response, path) => {
    if (!path.endsWith(layers[1]?.digest ?? "")) return false;
    response.destroy();
    return true;
  };
  expect(await pull()).toMatchObject({
    kind: "refusal",
    message: expect.stringMatching(/EOF|reset/),
  });
  await nothingLeft();
});

test("a layer that breaks off once arrives all the same", async () => {
  await registry.addImage("1", ["b".repeat(3_000_000)]);
  let broken = false;
  registry.hook = (request, response, path) => {
    const blob = registry.blobs.get(path.split("/").at(-1) ?? "");
    if (!isBlob(path) || broken || blob === undefined || blob.length < 2_000) return false;
    broken = true;
    sendBlob(response, blob, request.headers.range ?? "", 1_000);
    return true;
  };
  expect(await pull()).toBeUndefined();
  expect(broken).toBe(true);
});

test("bytes other than the digest's are refused", async () => {
  await registry.addImage("1", ["good"]);
  const { layers } = JSON.parse(registry.manifests.get("1")?.bytes.toString() ?? "");
  const { digest } = layers[0] as { digest: string };
  const right = registry.blobs.get(digest) ?? Buffer.alloc(0);
  const wrong = Buffer.from(right);
  wrong.writeUInt8(wrong.readUInt8(15) ^ 1, 15);
  registry.blobs.set(digest, wrong);
  expect(await pull()).toMatchObject({
    message: `filesystem layer verification failed for digest ${digest}`,
  });
  await nothingLeft();
});

test("a layer that is not what the config says is refused", async () => {
  await registry.addImage("1", ["good"]);
  const { config, layers } = JSON.parse(registry.manifests.get("1")?.bytes.toString() ?? "");
  const other = registry.addBlob(
    gzipSync(await tarOf("other", Buffer.from("bad"))),
    layers[0].mediaType,
  );
  const manifest = { schemaVersion: 2, mediaType: MEDIA.dockerManifest, config, layers: [other] };
  registry.addManifest("1", manifest, MEDIA.dockerManifest);
  expect(await pull()).toMatchObject({
    message: expect.stringContaining("invalid diffID for layer 0"),
  });
  await nothingLeft();
});

test("two pulls at once fetch once; the first to leave does not end the other's", async () => {
  await registry.addImage("1", ["x".repeat(100_000)]);
  let open: (() => void) | undefined;
  const held = new Promise<void>((resolve) => {
    open = resolve;
  });
  let asked = 0;
  registry.hook = (_, response, path) => {
    const blob = registry.blobs.get(path.split("/").at(-1) ?? "");
    if (!isBlob(path) || blob === undefined) return false;
    asked++;
    void held.then(() => sendBlob(response, blob, ""));
    return true;
  };
  const leaving = new AbortController();
  const first = pull(undefined, leaving.signal);
  const lines: Progress[] = [];
  const second = pull((progress) => lines.push(progress));
  await until("the first blob is asked for", () => asked > 0);
  leaving.abort(new Error("gone"));
  await expect(first).rejects.toThrow("gone");
  open?.();
  expect(await second).toBeUndefined();
  // The config and the layer.
  expect(asked).toBe(2);
  expect(lines.map(({ status }) => status)).toContain("Pull complete");
  expect(lines.at(-1)?.status).toMatch(/^Status: Downloaded newer image/);
});

test("a pull that nobody waits for ends, and leaves nothing", async () => {
  await registry.addImage("1", ["x".repeat(100_000)]);
  let asked = 0;
  registry.hook = (_, response, path) => {
    if (!isBlob(path) || asked === 1) return isBlob(path);
    const blob = registry.blobs.get(path.split("/").at(-1) ?? "");
    if (blob !== undefined && blob.length > 50) {
      response.writeHead(200, { "content-length": blob.length });
      response.write(blob.subarray(0, 20));
      asked++;
      return true;
    }
    return false;
  };
  const leaving = new AbortController();
  const pulling = pull(undefined, leaving.signal);
  await until("a blob is on its way", () => asked > 0);
  leaving.abort(new Error("gone"));
  await expect(pulling).rejects.toThrow("gone");
  await nothingLeft();
});

test("containerd is killed under a pull: it says so, and nothing of it stays when that is back", async () => {
  await registry.addImage("1", ["a".repeat(1_000), randomBytes(2_000_000).toString("hex")]);
  let arrived = 0;
  registry.hook = (_, response, path) => {
    const blob = registry.blobs.get(path.split("/").at(-1) ?? "");
    if (blob === undefined || blob.length < 1_000_000) return false;
    response.writeHead(200, { "content-length": blob.length });
    response.write(blob.subarray(0, 1_000_000));
    arrived++;
    void own.kill().then(() => response.end(blob.subarray(1_000_000)));
    return true;
  };
  const pulling = pull().then(
    (refusal) => refusal?.message ?? "pulled",
    (error: unknown) => sentenceOf(error),
  );
  await until("a layer is on its way", () => arrived > 0);
  expect(await pulling).toMatch(/containerd does not answer/);
  await own.startAgain();
  await nothingLeft();
  registry.hook = () => false;
  expect(await pull()).toBeUndefined();
});

test("what a killed agent was in the middle of goes when the next one starts", async () => {
  const { containerd } = own;
  const { leases } = containerd;
  // Never resolves: this is the agent that is killed.
  let begun: (() => void) | undefined;
  const started = new Promise<void>((resolve) => {
    begun = resolve;
  });
  void withLease(containerd, systemClock.nowMs(), async (lease) => {
    await new Blobs(containerd).put(Buffer.from("half"), digestOf("half"), {}, lease);
    begun?.();
    return new Promise<never>(() => undefined);
  });
  await started;
  const foreign = { id: "somebody-else", labels: {} };
  await containerd.call(leases.create.bind(leases), foreign);
  await images.restore();
  const left = await containerd.call(leases.list.bind(leases), { filters: [] });
  expect(left.leases.map(({ id }) => id)).toEqual(["somebody-else"]);
  await containerd.call(leases.delete.bind(leases), { id: "somebody-else", sync: true });
});

test("of an index, the platform that was asked for comes, and one that is not there is said", async () => {
  const parts = await Promise.all(
    ["amd64", "arm64"].map(async (architecture) => ({
      ...(await registry.addImage(architecture, [`for ${architecture}`], architecture)),
      platform: { os: "linux", architecture },
    })),
  );
  registry.addManifest(
    "1",
    { schemaVersion: 2, mediaType: MEDIA.ociIndex, manifests: parts },
    MEDIA.ociIndex,
  );
  expect(await pull(undefined, undefined, "linux/arm64")).toBeUndefined();
  expect(await images.get(`${registry.host}/app:1`)).toMatchObject({ architecture: "arm64" });
  expect(await pull(undefined, undefined, "linux/amd64")).toBeUndefined();
  expect(await images.get(`${registry.host}/app:1`)).toMatchObject({ architecture: "amd64" });
  expect(await pull(undefined, undefined, "linux/s390x")).toMatchObject({
    message: "no matching manifest for linux/s390x in the manifest list entries",
  });
  const remote = await images.inspectRemote(
    `${registry.host}/app:1`,
    undefined,
    new AbortController().signal,
  );
  expect(remote).toMatchObject({
    mediaType: MEDIA.ociIndex,
    platforms: [{ architecture: "amd64" }, { architecture: "arm64" }],
  });
});

const archives: readonly (readonly [name: string, bytes: Buffer, want: RegExp])[] = [
  ["nothing", Buffer.alloc(0), /it is empty/],
  ["text", Buffer.from("hello ".repeat(200)), /it is no tar archive/],
  [
    "a tar of something else",
    await tarOf("README", Buffer.from("x")),
    /neither a manifest.json .* nor an index.json/,
  ],
  [
    "a tar that leads outside",
    await tarOf("../../etc/passwd", Buffer.from("x")),
    /leads out of it/,
  ],
  ["half a tar", (await tarOf("a", Buffer.alloc(4_000))).subarray(0, 2_000), /it ends too early/],
  [
    "half a gzip",
    gzipSync(await tarOf("a", Buffer.from("x"))).subarray(0, 40),
    /damaged|too early/,
  ],
  [
    "a missing layer",
    await tarOf("manifest.json", Buffer.from('[{"Config":"c","RepoTags":["a:b"],"Layers":["l"]}]')),
    /"c" is missing/,
  ],
  ["bzip2", Buffer.from("BZh91AY&SY"), /compressed with bzip2/],
];
for (const [name, bytes, want] of archives) {
  test(`${name} is no archive of images`, async () => {
    const answer = await images.load(
      Readable.from([bytes]),
      () => undefined,
      new AbortController().signal,
    );
    expect(isRefusal(answer) && answer.message).toMatch(want);
    await nothingLeft();
  });
}

test("a full disk is said, and is not full of half an image afterwards", async () => {
  const root = mkdtempSync(join(tmpdir(), `${process.env["SKEIN_TEST_PREFIX"] ?? ""}full-`));
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=24m", "tmpfs", root]);
  const small = await ownContainerd(root);
  try {
    const full = new ContainerdImages({
      containerd: small.containerd,
      clock: systemClock,
      publish: () => undefined,
      usedBy: () => [],
    });
    const free = statfsSync(root).bfree;
    await registry.addImage("1", [randomBytes(12_000_000).toString("hex")]);
    const signal = new AbortController().signal;
    const options = { platform: undefined, auth: undefined };
    const answer = await full.pull(`${registry.host}/app:1`, options, () => undefined, signal);
    expect(answer).toMatchObject({
      code: "resource-exhausted",
      message: expect.stringContaining("no space left on device"),
    });
    // A few blocks for its own database.
    await until("the space is free again", () => statfsSync(root).bfree > free - 256);
    await registry.addImage("1", ["small"]);
    expect(
      await full.pull(`${registry.host}/app:1`, options, () => undefined, signal),
    ).toBeUndefined();
  } finally {
    await small.stop();
    execFileSync("umount", ["-l", root]);
    rmSync(root, { recursive: true, force: true });
  }
});
