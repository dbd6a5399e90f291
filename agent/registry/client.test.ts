import { Readable } from "node:stream";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Refused } from "../../common/fault.js";
import { FakeRegistry, refuse, sendBlob } from "../../test/fakes/registry.js";
import type { Descriptor, Manifest } from "../oci/manifest.js";
import { parseTagged, type Reference } from "../oci/reference.js";
import type { RegistryAuth } from "../seams.js";
import { loginReference, RegistryClient } from "./client.js";

let registry: FakeRegistry;
const clients: RegistryClient[] = [];
beforeEach(async () => {
  registry = await FakeRegistry.start();
});
afterEach(async () => {
  for (const each of clients.splice(0)) each.close();
  await registry.close();
});

const ANN: RegistryAuth = {
  username: "ann",
  password: "s3cret",
  identityToken: "",
  registryToken: "",
  serverAddress: "",
};

function client(auth?: RegistryAuth, ref = `${registry.host}/app:1`): RegistryClient {
  const made = new RegistryClient(
    parseTagged(ref) as Reference,
    auth,
    "pull",
    new AbortController().signal,
  );
  clients.push(made);
  return made;
}
async function sentence(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => undefined,
    (failure: unknown) => failure,
  );
  if (!(error instanceof Refused)) throw new Error(`not refused: ${String(error)}`);
  return error.refusal.message;
}
async function read(from: RegistryClient, descriptor: Descriptor): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of from.blob(descriptor)) parts.push(part);
  return Buffer.concat(parts);
}
async function firstLayer(from: RegistryClient): Promise<Descriptor> {
  const { parsed } = await from.manifest("1");
  const [layer] = (parsed as Manifest).layers;
  if (layer === undefined) throw new Error("no layer");
  return layer;
}

describe("blobs", () => {
  test("one that breaks off is asked for again from there", async () => {
    await registry.addImage("1", ["x".repeat(100_000)]);
    const asked = client();
    const layer = await firstLayer(asked);
    const whole = registry.blobs.get(layer.digest) ?? Buffer.alloc(0);
    let broken = 0;
    registry.hook = (request, response, path) => {
      if (!path.endsWith(layer.digest) || broken++ >= 3) return false;
      sendBlob(response, whole, request.headers.range ?? "", 50);
      return true;
    };
    expect(await read(asked, layer)).toEqual(whole);
    const ranges = registry.seen.filter(({ path }) => path.endsWith(layer.digest));
    expect(ranges.map(({ range }) => range)).toEqual(["", "bytes=50-", "bytes=100-", "bytes=150-"]);
  });

  test("a registry that knows no ranges sends all again, and what is known is skipped", async () => {
    await registry.addImage("1", ["abc".repeat(5_000)]);
    const asked = client();
    const layer = await firstLayer(asked);
    const whole = registry.blobs.get(layer.digest) ?? Buffer.alloc(0);
    let broken = 0;
    registry.hook = (_, response, path) => {
      if (!path.endsWith(layer.digest)) return false;
      sendBlob(response, whole, "", broken++ === 0 ? 60 : undefined);
      return true;
    };
    expect(await read(asked, layer)).toEqual(whole);
  });

  test("one that never comes whole is given up", async () => {
    await registry.addImage("1", ["x"]);
    const asked = client();
    const layer = await firstLayer(asked);
    registry.hook = (_, response, path) => {
      if (!path.endsWith(layer.digest)) return false;
      response.destroy();
      return true;
    };
    expect(await sentence(read(asked, layer))).toMatch(/: EOF$|connection reset/);
    expect(registry.seen.filter(({ path }) => path.endsWith(layer.digest))).toHaveLength(3);
  });

  test("one that is longer than it is said to be is refused", async () => {
    await registry.addImage("1", ["x"]);
    const asked = client();
    const layer = await firstLayer(asked);
    const claimed = { ...layer, size: layer.size - 1 };
    expect(await sentence(read(asked, claimed))).toContain("is longer than");
  });

  test("a redirect to another host takes no credentials along", async () => {
    const storage = await FakeRegistry.start();
    try {
      await registry.addImage("1", ["x"]);
      const asked = client(ANN);
      const layer = await firstLayer(asked);
      const bytes = registry.blobs.get(layer.digest) ?? Buffer.alloc(0);
      storage.hook = (_, response) => {
        response.end(bytes);
        return true;
      };
      registry.hook = (request, response, path) => {
        if (request.headers.authorization === undefined) {
          response.writeHead(401, { "www-authenticate": 'Basic realm="x"' }).end();
        } else if (path.endsWith(layer.digest)) {
          response.writeHead(307, { location: `http://${storage.host}/elsewhere` }).end();
        } else return false;
        return true;
      };
      expect(await read(asked, layer)).toEqual(bytes);
      expect(registry.seen.at(-1)?.authorization).toMatch(/^Basic /);
      expect(storage.seen).toMatchObject([{ path: "/elsewhere", authorization: "" }]);
    } finally {
      await storage.close();
    }
  });

  test("who is redirected to is not told who we are, however they ask", async () => {
    const storage = await FakeRegistry.start();
    try {
      await registry.addImage("1", ["x"]);
      const asked = client(ANN);
      const layer = await firstLayer(asked);
      storage.hook = (_, response) => {
        const realm = `Bearer realm="http://${storage.host}/token"`;
        response.writeHead(401, { "www-authenticate": realm }).end();
        return true;
      };
      registry.hook = (_, response, path) => {
        if (!path.endsWith(layer.digest)) return false;
        response.writeHead(307, { location: `http://${storage.host}/elsewhere` }).end();
        return true;
      };
      await sentence(read(asked, layer));
      expect(storage.seen).toMatchObject([{ path: "/elsewhere", authorization: "" }]);
    } finally {
      await storage.close();
    }
  });

  test("bytes are pushed to no place without TLS on another machine", async () => {
    registry.hook = (request, response) => {
      if (request.method !== "POST") return false;
      response.writeHead(202, { location: "http://192.0.2.1/upload" }).end();
      return true;
    };
    const descriptor = { mediaType: "x", digest: `sha256:${"0".repeat(64)}`, size: 1 };
    const pushed = client(ANN).putBlob(descriptor, Readable.from([Buffer.from("x")]));
    expect(await sentence(pushed)).toContain("the registry wants the bytes where none may go");
  });

  test("a redirect to plain HTTP elsewhere is not followed", async () => {
    await registry.addImage("1", ["x"]);
    const asked = client();
    const layer = await firstLayer(asked);
    registry.hook = (_, response, path) => {
      if (!path.endsWith(layer.digest)) return false;
      response.writeHead(302, { location: "http://192.0.2.1/x" }).end();
      return true;
    };
    expect(await sentence(read(asked, layer))).toContain(
      "redirects to where no image may be fetched from",
    );
  });
});

describe("manifests", () => {
  test("one that is not what its digest says is refused", async () => {
    const { digest } = await registry.addImage("1", ["x"]);
    const other = await registry.addImage("2", ["y"]);
    const lie = registry.manifests.get(other.digest);
    if (lie) registry.manifests.set(digest, lie);
    expect(await sentence(client().manifest(digest))).toBe(
      `manifest verification failed for digest ${digest}`,
    );
  });

  test("one without an end is refused", async () => {
    registry.hook = (_, response, path) => {
      if (!path.includes("/manifests/")) return false;
      const more = (): void =>
        void response.write(Buffer.alloc(256 * 1024, " "), () => response.destroyed || more());
      more();
      return true;
    };
    expect(await sentence(client().manifest("1"))).toContain("is longer than 4194304 bytes");
  });

  const cases: readonly (readonly [name: string, value: object, want: string])[] = [
    ["an old one", { schemaVersion: 1, fsLayers: [] }, "schema version is not 2"],
    ["one of nothing", { schemaVersion: 2 }, "its config is not described"],
    ["a list", [], "it is not a JSON object"],
  ];
  for (const [name, value, want] of cases) {
    test(`${name} is refused`, async () => {
      registry.addManifest("1", value, "application/json");
      expect(await sentence(client().manifest("1"))).toContain(want);
    });
  }

  test("errors are Docker's", async () => {
    const { host } = registry;
    expect(await sentence(client().manifest("nope"))).toBe(
      `manifest for ${host}/app:1 not found: manifest unknown: manifest unknown`,
    );
    registry.hook = (_, response, path) => {
      if (path === "/v2/") return false;
      refuse(response, 403, "DENIED", "requested access to the resource is denied");
      return true;
    };
    expect(await sentence(client().manifest("1"))).toBe(
      `pull access denied for ${host}/app, repository does not exist or may require 'docker login': denied: requested access to the resource is denied`,
    );
  });
});

describe("tokens", () => {
  let tokens: FakeRegistry;
  beforeEach(async () => {
    tokens = await FakeRegistry.start();
    await registry.addImage("1", ["x"]);
    const challenge = `Bearer realm="http://${tokens.host}/token",service="reg"`;
    registry.hook = (request, response, path) => {
      if (path === "/v2/" || request.headers.authorization === "Bearer t0ken") return false;
      response.writeHead(401, { "www-authenticate": challenge });
      response.end(
        JSON.stringify({ errors: [{ code: "UNAUTHORIZED", message: "authentication required" }] }),
      );
      return true;
    };
  });
  afterEach(async () => {
    await tokens.close();
  });

  test("one is fetched for the repository, with the password that there is", async () => {
    tokens.hook = (_, response) => {
      response.end(JSON.stringify({ token: "t0ken" }));
      return true;
    };
    await client(ANN).manifest("1");
    const [asked] = tokens.seen;
    expect(asked?.path).toBe("/token?service=reg&scope=repository%3Aapp%3Apull&account=ann");
    expect(asked?.authorization).toBe(`Basic ${Buffer.from("ann:s3cret").toString("base64")}`);
  });

  test("one that has run out is fetched again", async () => {
    const asked = client();
    let count = 0;
    tokens.hook = (_, response) => {
      count++;
      response.end(JSON.stringify({ token: "t0ken" }));
      return true;
    };
    const serve = registry.hook;
    await asked.manifest("1");
    let expired = true;
    registry.hook = (request, response, path) => {
      if (!expired) return serve(request, response, path);
      expired = false;
      const challenge = `Bearer realm="http://${tokens.host}/token"`;
      response.writeHead(401, { "www-authenticate": challenge }).end();
      return true;
    };
    await asked.manifest("1");
    expect(count).toBe(2);
  });

  test("an identity token is exchanged for one", async () => {
    let form = "";
    tokens.hook = (request, response) => {
      request.on("data", (chunk) => {
        form += String(chunk);
      });
      request.on("end", () => response.end(JSON.stringify({ access_token: "t0ken" })));
      return true;
    };
    await client({ ...ANN, identityToken: "refresh" }).manifest("1");
    expect(Object.fromEntries(new URLSearchParams(form))).toMatchObject({
      grant_type: "refresh_token",
      refresh_token: "refresh",
      service: "reg",
      scope: "repository:app:pull",
    });
  });

  test("a wrong password is said; one that does not reach this far is a denied pull", async () => {
    tokens.hook = (_, response) => {
      response.writeHead(401).end(JSON.stringify({ details: "incorrect username or password" }));
      return true;
    };
    expect(await sentence(client(ANN).manifest("1"))).toMatch(
      /unauthorized: incorrect username or password$/,
    );
    tokens.hook = (_, response) => {
      response.end(JSON.stringify({ token: "other" }));
      return true;
    };
    expect(await sentence(client().manifest("1"))).toBe(
      `pull access denied for ${registry.host}/app, repository does not exist or may require 'docker login': denied: requested access to the resource is denied`,
    );
  });

  test("a password is not sent in clear to another machine", async () => {
    registry.hook = (_, response, path) => {
      if (path === "/v2/") return false;
      response
        .writeHead(401, { "www-authenticate": 'Bearer realm="http://192.0.2.1/token"' })
        .end();
      return true;
    };
    expect(await sentence(client(ANN).manifest("1"))).toContain(
      "no safe place to get a token from",
    );
  });
});

test("a registry that is not there is refused as Go's client says it", async () => {
  expect(await sentence(client(undefined, "127.0.0.1:1/app").manifest("1"))).toBe(
    'Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused',
  );
});

test("a login's address is a host", () => {
  expect(loginReference("https://index.docker.io/v1/")?.domain).toBe("docker.io");
  expect(loginReference("localhost:5000")?.domain).toBe("localhost:5000");
  expect(loginReference("a b")).toBeUndefined();
});
