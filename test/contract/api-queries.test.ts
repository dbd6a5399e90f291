// A query parameter that the API has and Skein has no use for is refused, never overlooked.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { NO_IMAGES } from "../../agent/loops/none.js";
import { EMPTY_CONFIG } from "../../agent/oci/image-config.js";
import type { Containers, Image } from "../../agent/seams.js";
import { type ApiHost, type ApiLab, apiLab } from "./api-lab.js";

const IMAGE: Image = {
  ...{ id: `sha256:${"a".repeat(64)}`, tags: ["app:1"], digests: [], createdAtMs: 0, sizeBytes: 1 },
  ...{ architecture: "arm64", os: "linux", variant: "v8", author: "", comment: "" },
  ...{ config: EMPTY_CONFIG, layers: [], history: [] },
};

let lab: ApiLab;
let h1: ApiHost;
let asked: (readonly unknown[])[] = [];
beforeAll(async () => {
  lab = await apiLab();
  ({ h1 } = lab.hosts);
  h1.node.images = { ...NO_IMAGES, list: async () => [IMAGE], get: async () => IMAGE };
  for (const [name, User] of [
    ["web", "app"],
    ["rooted", "0:0"],
  ]) {
    await h1.http("POST", `/containers/create?name=${name}`, {
      ...{ Image: "process", Cmd: ["sh"], User },
    });
  }
  const containers: Containers = h1.node.containers;
  for (const name of ["stop", "restart"] as const) {
    const real = containers[name].bind(containers);
    containers[name] = (...args: Parameters<Containers["stop"]>) => {
      asked.push([name, ...args]);
      return real(...args);
    };
  }
});
afterAll(() => lab.close());

const PLATFORM = encodeURIComponent('{"os":"linux","architecture":"amd64"}');
const OTHER =
  "image with reference app:1 was found but does not provide the specified platform (linux/amd64)";
const none = (what: string) => `${what} not part of this release of Skein`;

describe("refused is", () => {
  const cases: readonly (readonly [string, string, number, string])[] = [
    [
      "PUT",
      "/containers/web/archive?path=/&copyUIDGID=true",
      501,
      none("giving copied files to the container's user (-a) is"),
    ],
    ["GET", "/images/json?shared-size=1", 501, none("counting what images share is")],
    ["GET", `/images/app:1/json?platform=${PLATFORM}`, 404, OTHER],
    ["GET", `/images/app:1/history?platform=${PLATFORM}`, 404, OTHER],
    ["GET", `/images/app:1/get?platform=${PLATFORM}`, 404, OTHER],
    ["GET", `/images/get?names=app:1&platform=${PLATFORM}`, 404, OTHER],
    [
      "POST",
      `/images/load?platform=${PLATFORM}`,
      501,
      none("loading one platform of an archive is"),
    ],
    [
      "POST",
      `/images/app:1/push?platform=${PLATFORM}`,
      501,
      none("pushing one platform of an image is"),
    ],
    [
      "DELETE",
      `/images/app:1?platforms=${PLATFORM}`,
      501,
      none("removing one platform of an image is"),
    ],
  ];
  for (const [method, path, status, message] of cases) {
    test(`${method} ${decodeURIComponent(path)}`, async () => {
      const answer = await h1.http(method, path);
      expect([answer.status, answer.json]).toEqual([status, { message }]);
    });
  }
});

test("what asks for what is there is served", async () => {
  for (const platform of ["linux/arm64", "linux/aarch64", "linux/arm64/v8"]) {
    const answer = await h1.http("GET", `/images/app:1/json?platform=${platform}`);
    expect(answer.status).toBe(200);
  }
  expect((await h1.http("GET", "/containers/json?size=0&all=1")).status).toBe(200);
  const copied = await h1.http("PUT", "/containers/rooted/archive?path=/&copyUIDGID=1");
  expect(copied.text).not.toContain("copied files");
});

test("sizes are counted for who asks", async () => {
  const [listed] = (await h1.http("GET", "/containers/json?size=1&all=1")).json as object[];
  expect(listed).toMatchObject({ SizeRw: 12, SizeRootFs: expect.any(Number) });
  const whole = await h1.http("GET", "/containers/web/json?size=true");
  expect(whole.json).toMatchObject({ SizeRw: 12, SizeRootFs: expect.any(Number) });
  expect((await h1.http("GET", "/containers/web/json")).json).not.toHaveProperty("SizeRw");
});

test("an update of limits says which, and refuses what it cannot change", async () => {
  const update = (body: object) => h1.http("POST", "/containers/web/update", body);
  expect(await update({ Memory: 2 ** 27, PidsLimit: -1, CpuShares: 0 })).toMatchObject({
    status: 200,
    json: { Warnings: null },
  });
  const { json } = await h1.http("GET", "/containers/web/json");
  expect(json).toMatchObject({ HostConfig: { Memory: 2 ** 27, MemorySwap: 2 ** 28 } });
  const refused = await update({ Devices: [{ PathOnHost: "/dev/null" }] });
  expect(refused).toMatchObject({
    status: 501,
    json: { message: none("changing this of a container that exists (Devices) is") },
  });
});

test("the signal of a stop and a restart goes with it", async () => {
  await h1.http("POST", "/containers/web/start");
  asked = [];
  await h1.http("POST", "/containers/web/restart?signal=SIGHUP&t=1");
  await h1.http("POST", "/containers/web/stop?signal=SIGINT&t=2");
  expect(asked[0]).toEqual(["restart", "web", 1, "SIGHUP"]);
  expect(asked.at(-1)?.slice(2)).toEqual([2, "SIGINT"]);
});
