// Images with a real containerd and the real docker CLI: load, list, tag, remove, save, import, and what a
// registry has. The registry is Debian's docker-registry on loopback, or a small one that misbehaves.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { serveApi } from "../../agent/api/server.js";
import { ContainerdImages } from "../../agent/images/images.js";
import type { UsingContainer } from "../../agent/images/removal.js";
import { systemClock } from "../../common/clock.js";
import type { Close } from "../../common/closing.js";
import { createLogger } from "../../common/log.js";
import { FakeAgentNode } from "../fakes/agent-node.js";
import { type OwnContainerd, ownContainerd } from "../images/containerd.js";
import { imageArchive } from "../images/images.js";
import { type OwnRegistry, ownRegistry } from "../images/registry.js";
import { type Result, run } from "./lab.js";

let own: OwnContainerd;
let node: FakeAgentNode;
let closeApi: Close;
let users: readonly (UsingContainer & { readonly imageId: string })[] = [];

beforeAll(async () => {
  own = await ownContainerd();
  node = new FakeAgentNode({ hostname: "h1", addr: "192.168.133.1" });
  node.images = new ContainerdImages({
    containerd: own.containerd,
    clock: systemClock,
    publish: (event) => node.publish(event),
    usedBy: (imageId) => users.filter((each) => each.imageId === imageId),
  });
  const log = createLogger("test", process.env["TEST_LOG"] ?? "silent");
  const socketPath = join(own.folder, "skein.sock");
  closeApi = await serveApi({ socketPath, group: "", node, log, clock: systemClock });
});
afterAll(async () => {
  await closeApi?.();
  await own?.stop();
});

function docker(...args: readonly string[]): Promise<Result> {
  return run("docker", args, {
    env: {
      DOCKER_HOST: `unix://${join(own.folder, "skein.sock")}`,
      DOCKER_CONFIG: join(own.folder, "docker"),
    },
  });
}
async function said(...args: readonly string[]): Promise<string> {
  const result = await docker(...args);
  expect(result, `docker ${args.join(" ")}`).toMatchObject({ code: 0 });
  return result.stdout;
}
async function refused(...args: readonly string[]): Promise<string> {
  const result = await docker(...args);
  expect(result.code, result.stdout).not.toBe(0);
  return result.stderr.trim();
}
const idOf = async (ref: string) => (await said("image", "inspect", "-f", "{{.Id}}", ref)).trim();

describe("an archive", () => {
  test("is loaded, listed, tagged and removed", async () => {
    expect(await said("load", "-i", imageArchive("alpine"))).toBe("Loaded image: alpine:latest\n");
    expect(await said("images", "--format", "{{.Repository}}:{{.Tag}}")).toBe("alpine:latest\n");
    const id = await idOf("alpine");
    expect(id).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(await idOf(id.slice(7, 15))).toBe(id);
    await said("tag", "alpine", "localhost:5000/a/b:1");
    // The client goes through an image's repositories in the random order of a Go map.
    const names = await said("images", "--format", "{{.Repository}}:{{.Tag}}");
    expect(names.trim().split("\n").sort()).toEqual(["alpine:latest", "localhost:5000/a/b:1"]);
    expect(await refused("rmi", id.slice(7, 19))).toBe(
      `Error response from daemon: conflict: unable to delete ${id.slice(7, 19)} (must be forced) - image is referenced in multiple repositories`,
    );
    expect(await said("rmi", "localhost:5000/a/b:1")).toBe("Untagged: localhost:5000/a/b:1\n");
    expect(await said("history", "--format", "{{.CreatedBy}}", "alpine")).toMatch(/^CMD/);
    expect(await said("rmi", "alpine")).toMatch(
      /^Untagged: alpine:latest\nDeleted: sha256:[0-9a-f]{64}\nDeleted: sha256:[0-9a-f]{64}\n$/,
    );
    expect(await said("images", "-q")).toBe("");
    expect(await refused("image", "inspect", "alpine")).toContain("No such image: alpine");
    expect(existsSync(join(own.folder, "root"))).toBe(true);
  });
});

describe("a registry", () => {
  let registry: OwnRegistry;
  beforeAll(async () => {
    registry = await ownRegistry();
    await said("load", "-i", imageArchive("nginx"));
  });
  afterAll(async () => {
    await registry?.stop();
  });

  test("takes a push and gives it back, by tag and by digest", async () => {
    const ref = `${registry.host}/web/nginx:1`;
    await said("tag", "nginx", ref);
    const pushed = await said("push", ref);
    const digest = /1: digest: (sha256:[0-9a-f]{64}) size: \d+/.exec(pushed)?.[1] ?? "";
    expect(digest).not.toBe("");
    expect(await said("push", ref)).toContain("Layer already exists");
    const id = await idOf("nginx");
    await said("rmi", ref, "nginx");
    const pulled = await said("pull", ref);
    expect(pulled.split("\n")[0]).toBe("1: Pulling from web/nginx");
    expect(pulled).toMatch(/^[0-9a-f]{12}: Pulling fs layer$/m);
    expect(pulled).toMatch(/^[0-9a-f]{12}: Download complete$/m);
    expect(pulled).toMatch(/^[0-9a-f]{12}: Pull complete$/m);
    expect(pulled.split("\n").slice(-4)).toEqual([
      `Digest: ${digest}`,
      `Status: Downloaded newer image for ${ref}`,
      ref,
      "",
    ]);
    expect(await idOf(ref)).toBe(id);
    expect(await said("pull", ref)).toContain(`Status: Image is up to date for ${ref}`);
    expect(await said("image", "inspect", "-f", "{{json .RepoDigests}}", ref)).toBe(
      `["${registry.host}/web/nginx@${digest}"]\n`,
    );
    // The last tag takes the digest along.
    expect(await said("rmi", ref)).toMatch(
      new RegExp(
        `^Untagged: ${ref}\nUntagged: ${registry.host}/web/nginx@${digest}\nDeleted: ${id}\n`,
      ),
    );
    const byDigest = `${registry.host}/web/nginx@${digest}`;
    expect(await said("pull", byDigest)).toContain(
      `Status: Downloaded newer image for ${byDigest}`,
    );
    expect(
      await said("images", "--digests", "--format", "{{.Repository}} {{.Tag}} {{.Digest}}"),
    ).toBe(`${registry.host}/web/nginx <none> ${digest}\n`);
    await said("rmi", byDigest);
    expect(await said("images", "-q")).toBe("");
  });

  test("is asked in vain in Docker's words", async () => {
    const { host } = registry;
    expect(await refused("pull", `${host}/web/nginx:2`)).toBe(
      `Error response from daemon: manifest for ${host}/web/nginx:2 not found: manifest unknown: manifest unknown`,
    );
    expect(await refused("pull", "--platform", "linux/arm64", `${host}/web/nginx:1`)).toContain(
      "does not match the specified platform (linux/arm64)",
    );
    expect(await refused("pull", "127.0.0.1:1/nothing")).toBe(
      'Error response from daemon: Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused',
    );
  });
});

describe("a registry with a password", () => {
  let registry: OwnRegistry;
  beforeAll(async () => {
    registry = await ownRegistry({ name: "ann", password: "s3cret" });
    await said("load", "-i", imageArchive("alpine"));
    await said("tag", "alpine", `${registry.host}/alpine`);
  });
  afterAll(async () => {
    await said("rmi", "alpine", `${registry.host}/alpine`);
    await registry?.stop();
  });

  test("wants a login first", async () => {
    const { host } = registry;
    const ref = `${host}/alpine`;
    expect(await refused("push", ref)).toContain("no basic auth credentials");
    expect(await refused("login", "-u", "ann", "-p", "wrong", host)).toContain(
      `login attempt to http://${host}/v2/ failed with status: 401 Unauthorized`,
    );
    expect(await said("login", "-u", "ann", "-p", "s3cret", host)).toContain("Login Succeeded");
    expect(await said("push", ref)).toContain("Pushed");
    await said("rmi", ref, "alpine");
    expect(await said("pull", ref)).toContain("Downloaded newer image");
    await said("tag", ref, "alpine");
    await said("logout", host);
    expect(await refused("pull", ref)).toContain("no basic auth credentials");
  });
});

describe("save, import and prune", () => {
  test("a saved image comes back with its names", async () => {
    await said("load", "-i", imageArchive("alpine"));
    await said("tag", "alpine", "other/name:2");
    const id = await idOf("alpine");
    const path = join(own.folder, "saved.tar");
    await said("save", "-o", path, "alpine:latest", "other/name:2");
    await said("rmi", "alpine", "other/name:2");
    expect((await said("load", "-i", path)).split("\n").sort()).toEqual([
      "",
      "Loaded image: alpine:latest",
      "Loaded image: other/name:2",
    ]);
    expect(await idOf("alpine")).toBe(id);
    await said("rmi", "alpine", "other/name:2");
  });

  test("an imported tar has what --change says", async () => {
    const path = join(own.folder, "root.tar");
    await run("tar", ["-cf", path, "-C", "/etc", "hostname"]);
    const id = (
      await said("import", "-c", "CMD /bin/true", "-c", "ENV A=b", "-m", "made", path, "mine:1")
    ).trim();
    expect(id).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(
      await said(
        "image",
        "inspect",
        "-f",
        "{{json .Config.Cmd}} {{.Config.Env}} {{.Comment}}",
        "mine:1",
      ),
    ).toBe('["/bin/sh","-c","/bin/true"] [A=b] made\n');
    await said("import", "-c", "CMD x", path, "mine:1");
    // The first has lost its name.
    expect(await said("images", "-f", "dangling=true", "-q", "--no-trunc")).toBe(`${id}\n`);
    expect(await said("image", "prune", "-f")).toContain(`deleted: ${id}`);
    expect(await refused("import", "-c", "RUN x", path)).toContain(
      "run is not a valid change command",
    );
    expect(await refused("import", join(own.folder, "config.toml"))).toContain(
      "cannot be unpacked",
    );
    await said("rmi", "mine:1");
    expect(await said("images", "-aq")).toBe("");
  });

  test("an image in use stays", async () => {
    await said("load", "-i", imageArchive("alpine"));
    const imageId = await idOf("alpine");
    users = [{ id: "c".repeat(64), running: false, imageId }];
    expect(await refused("rmi", "alpine")).toBe(
      `Error response from daemon: conflict: unable to remove repository reference "alpine" (must force) - container cccccccccccc is using its referenced image ${imageId.slice(7, 19)}`,
    );
    expect(await said("image", "prune", "-af")).toContain("Total reclaimed space: 0B");
    users = [{ id: "c".repeat(64), running: true, imageId }];
    expect(await said("rmi", "-f", "alpine")).toBe("Untagged: alpine:latest\n");
    expect(await said("images", "--no-trunc", "-q")).toBe(`${imageId}\n`);
    users = [];
    expect(await said("image", "prune", "-af")).toContain(`deleted: ${imageId}`);
  });
});
