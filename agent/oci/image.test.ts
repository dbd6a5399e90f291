import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isRefusal } from "../../common/fault.js";
import { archivePath, followLinks, linkTarget, parseArchiveManifest } from "./archive.js";
import { parseChallenge, tokenUrl } from "./challenge.js";
import { changedConfig } from "./changes.js";
import { chainIdOf, digestOf } from "./digest.js";
import { configJson, EMPTY_CONFIG, parseConfig } from "./image-config.js";
import { MEDIA, parseManifest } from "./manifest.js";
import { fitness, hostPlatform, parsePlatform, platformText } from "./platform.js";

const D = `sha256:${"a".repeat(64)}`;
const bytesOf = (value: unknown) => Buffer.from(JSON.stringify(value));

describe("platforms", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["linux/x86_64", "linux/amd64"],
    ["linux/aarch64", "linux/arm64"],
    ["linux/arm64/v8", "linux/arm64"],
    ["linux/arm", "linux/arm/v7"],
    ["linux/arm/6", "linux/arm/v6"],
    ["amd64", "linux/amd64"],
  ];
  for (const [written, want] of cases) {
    test(`${written} is ${want}`, () => {
      const platform = parsePlatform(written);
      expect(isRefusal(platform) ? platform.message : platformText(platform)).toBe(want);
    });
  }
  test.each(["", "a/b/c/d", "linux/", "linux/a b", "linux"])("%j is none", (written) => {
    expect(isRefusal(parsePlatform(written))).toBe(true);
  });
  test("this machine runs what was made for it, and an older ARM's", () => {
    const arm = { os: "linux", architecture: "arm", variant: "v7" };
    expect(
      fitness(hostPlatform("x64"), { os: "linux", architecture: "amd64", variant: "" }),
    ).toBeGreaterThan(0);
    expect(fitness(hostPlatform("x64"), { os: "linux", architecture: "arm64", variant: "" })).toBe(
      0,
    );
    expect(fitness(arm, { ...arm, variant: "v6" })).toBeGreaterThan(0);
    expect(fitness({ ...arm, variant: "v6" }, arm)).toBe(0);
  });
});

describe("manifests", () => {
  const config = { mediaType: MEDIA.ociConfig, digest: D, size: 3 };
  const good = { schemaVersion: 2, mediaType: MEDIA.ociManifest, config, layers: [config] };
  test("a good one is read", () => {
    expect(parseManifest(bytesOf(good))).toMatchObject({
      kind: "manifest",
      config,
      layers: [config],
    });
  });
  const wrong: readonly (readonly [string, object])[] = [
    ["a digest of another kind", { ...good, config: { ...config, digest: "md5:x" } }],
    ["a negative size", { ...good, layers: [{ ...config, size: -1 }] }],
    ["a config of a gigabyte", { ...good, config: { ...config, size: 2 ** 30 } }],
    ["128 layers", { ...good, layers: Array(128).fill(config) }],
    ["another media type", { ...good, mediaType: "text/plain" }],
    ["manifests that are none", { schemaVersion: 2, manifests: [{}] }],
  ];
  for (const [name, value] of wrong) {
    test(`${name} is refused with a sentence`, () => {
      expect(typeof parseManifest(bytesOf(value))).toBe("string");
    });
  }
  test("whatever comes, nothing is thrown", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array(),
          fc.json().map((text) => Buffer.from(text)),
        ),
        (bytes) => {
          parseManifest(bytes);
          parseConfig(bytes);
          parseArchiveManifest(bytes);
        },
      ),
    );
  });
});

test("a chain id is that of the specification's example", () => {
  expect(chainIdOf([])).toBe("");
  expect(chainIdOf(["a"])).toBe("a");
  expect(chainIdOf(["a", "b", "c"])).toBe(digestOf(`${digestOf("a b")} c`));
});

describe("WWW-Authenticate", () => {
  test("Bearer is preferred, with its parameters", () => {
    const header =
      'Basic realm="x", Bearer realm="https://auth.example/token",service="a b",scope="r:x:pull,push"';
    expect(parseChallenge(header)).toEqual({
      scheme: "bearer",
      parameters: { realm: "https://auth.example/token", service: "a b", scope: "r:x:pull,push" },
    });
    expect(parseChallenge("Basic realm=x")).toEqual({
      scheme: "basic",
      parameters: { realm: "x" },
    });
    expect(parseChallenge("Negotiate")).toBeUndefined();
  });
  test("a realm that is not safe is none", () => {
    const at = (realm: string, plain: boolean) =>
      tokenUrl({ scheme: "bearer", parameters: { realm } }, "s", plain)?.href;
    expect(at("https://a.example/t", false)).toBe("https://a.example/t?scope=s");
    expect(at("http://127.0.0.1:1/t", true)).toBe("http://127.0.0.1:1/t?scope=s");
    expect(at("http://127.0.0.1:1/t", false)).toBeUndefined();
    expect(at("http://a.example/t", true)).toBeUndefined();
    expect(at("file:///etc/passwd", true)).toBeUndefined();
    expect(at("nonsense", true)).toBeUndefined();
  });
});

describe("--change", () => {
  const cases: readonly (readonly [changes: readonly string[], want: object])[] = [
    [['CMD ["a","b"]'], { command: ["a", "b"] }],
    [["cmd a b"], { command: ["/bin/sh", "-c", "a b"] }],
    [['ENTRYPOINT ["x"]'], { entrypoint: ["x"] }],
    [["ENV A=1 B='x y'", "ENV A=2"], { env: ["B=x y", "A=2"] }],
    [["ENV A some words"], { env: ["A=some words"] }],
    [['LABEL k=v "a b"=c'], { labels: { k: "v", "a b": "c" } }],
    [["EXPOSE 80 53/udp"], { exposed: ["80/tcp", "53/udp"] }],
    [['VOLUME ["/a"]', "VOLUME /b /c"], { volumes: ["/a", "/b", "/c"] }],
    [["WORKDIR /a", "WORKDIR b"], { workingDir: "/a/b" }],
    [["USER nobody", "STOPSIGNAL SIGQUIT"], { user: "nobody", stopSignal: "SIGQUIT" }],
    [["HEALTHCHECK NONE"], { healthCheck: null }],
    [
      ["HEALTHCHECK --interval=2s --retries=3 CMD wget -q x"],
      {
        healthCheck: {
          test: ["CMD-SHELL", "wget -q x"],
          intervalMs: 2_000,
          timeoutMs: 0,
          retries: 3,
          startPeriodMs: 0,
          startIntervalMs: 0,
        },
      },
    ],
  ];
  for (const [changes, want] of cases) {
    test(changes.join("; "), () => {
      expect(changedConfig(EMPTY_CONFIG, changes)).toMatchObject(want);
    });
  }
  test.each([["RUN x"], ["EXPOSE x"], ["ENV"], ["LABEL =x"], ["1"], ["HEALTHCHECK x"]])(
    "%s is refused",
    (change) => {
      expect(isRefusal(changedConfig(EMPTY_CONFIG, [change]))).toBe(true);
    },
  );
  test("what is changed comes back from the config that is written", () => {
    const changes = [
      "CMD x",
      "ENV A=1",
      "EXPOSE 80",
      "LABEL a=b",
      "HEALTHCHECK CMD true",
      "USER 1",
      "VOLUME /v",
    ];
    const config = changedConfig(EMPTY_CONFIG, changes);
    if (isRefusal(config)) throw new Error(config.message);
    const blob = parseConfig(bytesOf({ config: configJson(config), rootfs: { diff_ids: [D] } }));
    expect(blob).toMatchObject({ config, layers: [D] });
  });
});

describe("paths of an archive stay in it", () => {
  const cases: readonly (readonly [string, string | undefined])[] = [
    ["a/./b/", "a/b"],
    ["./manifest.json", "manifest.json"],
    ["/etc/passwd", "etc/passwd"],
    ["../x", undefined],
    ["a/../../x", undefined],
    ["a\0b", undefined],
  ];
  for (const [path, want] of cases) {
    test(JSON.stringify(path), () => expect(archivePath(path)).toBe(want));
  }
  test("links too, and a circle leads nowhere", () => {
    expect(linkTarget("a/layer.tar", "../b/layer.tar", "symlink")).toBe("b/layer.tar");
    expect(linkTarget("a", "../../etc", "symlink")).toBeUndefined();
    const links = new Map([
      ["a", "b"],
      ["b", "a"],
      ["c", "d"],
    ]);
    expect(followLinks("c", links)).toBe("d");
    expect(followLinks("a", links)).toBeUndefined();
  });
});
