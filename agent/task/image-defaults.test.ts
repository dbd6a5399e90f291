import { describe, expect, test } from "vitest";
import type { ContainerSpec, ImageConfig } from "../seams.js";
import { EMPTY_SPEC } from "./container-spec.js";
import { withImageDefaults } from "./image-defaults.js";

const IMAGE: ImageConfig = {
  entrypoint: ["/entry"],
  command: ["serve"],
  env: ["PATH=/bin", "LANG=C"],
  workingDir: "/srv",
  user: "web",
  labels: { from: "image", kept: "1" },
  exposed: ["80/tcp"],
  volumes: ["/data", "/cache/"],
  stopSignal: "SIGQUIT",
  healthCheck: {
    test: ["CMD", "ok"],
    intervalMs: 1,
    timeoutMs: 2,
    retries: 3,
    startPeriodMs: 4,
    startIntervalMs: 5,
  },
  shell: [],
};
const NOTHING: ImageConfig = {
  ...IMAGE,
  entrypoint: [],
  command: [],
  env: [],
  volumes: [],
  exposed: [],
  healthCheck: undefined,
};

function filled(spec: Partial<ContainerSpec>, image = IMAGE): ContainerSpec {
  return withImageDefaults({ ...EMPTY_SPEC, ...spec }, image);
}

// Dockerfile reference, "Understand how CMD and ENTRYPOINT interact", and docker run --entrypoint.
describe("entrypoint and command", () => {
  const cases = [
    { asked: {}, entrypoint: ["/entry"], command: ["serve"] },
    { asked: { command: ["x"] }, entrypoint: ["/entry"], command: ["x"] },
    { asked: { entrypoint: ["/mine"] }, entrypoint: ["/mine"], command: [] },
    { asked: { entrypoint: ["/mine"], command: ["x"] }, entrypoint: ["/mine"], command: ["x"] },
    { asked: { entrypoint: [""] }, entrypoint: [], command: [] },
    { asked: { entrypoint: [""], command: ["x"] }, entrypoint: [], command: ["x"] },
  ];
  test.each(cases)("$asked", ({ asked, ...want }) => {
    expect(filled(asked)).toMatchObject(want);
  });
});

describe("the environment", () => {
  const cases = [
    { name: "the request's own comes first", env: ["A=1"], want: ["A=1", "PATH=/bin", "LANG=C"] },
    { name: "and wins", env: ["LANG=de"], want: ["LANG=de", "PATH=/bin"] },
    { name: "a bare name takes one out", env: ["LANG"], want: ["PATH=/bin"] },
  ];
  test.each(cases)("$name", ({ env, want }) => expect(filled({ env }).env).toEqual(want));
  test("has a PATH, whoever forgot it", () => {
    expect(filled({}, NOTHING).env).toEqual([
      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ]);
  });
});

test("labels, ports, folder, user and signal are the image's where nothing is said", () => {
  const spec = filled({ labels: { from: "me" }, exposed: ["81/tcp"], user: "root" });
  expect(spec).toMatchObject({
    labels: { from: "me", kept: "1" },
    exposed: ["81/tcp", "80/tcp"],
    workingDir: "/srv",
    user: "root",
    stopSignal: "SIGQUIT",
  });
});

test("the image's volumes are nameless ones, unless something is mounted there", () => {
  const [own, ...more] = filled({
    mounts: filled({})
      .mounts.map((mount) => ({ ...mount, source: "v" }))
      .slice(0, 1),
  }).mounts;
  expect(own).toMatchObject({ source: "v", target: "/data" });
  expect(more).toMatchObject([{ kind: "volume", source: "", target: "/cache" }]);
});

describe("the health check", () => {
  const asked = { ...IMAGE.healthCheck, test: [], intervalMs: 9, timeoutMs: 0 } as never;
  test("is the image's", () => expect(filled({}).healthCheck).toEqual(IMAGE.healthCheck));
  test("is none", () => expect(filled({ healthCheck: null }).healthCheck).toBeNull());
  test("keeps the image's command when only its manner is asked for", () => {
    expect(filled({ healthCheck: asked }).healthCheck).toMatchObject({
      test: ["CMD", "ok"],
      intervalMs: 9,
      timeoutMs: 2,
    });
  });
  test("without any command is none", () => {
    expect(filled({ healthCheck: asked }, NOTHING).healthCheck).toBeUndefined();
  });
});
