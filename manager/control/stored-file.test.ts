import { describe, expect, test } from "vitest";
import { isRefusal } from "../../common/fault.js";
import { makeSecret } from "../../test/fakes/services.js";
import { SwarmState, sentenceOf } from "../../test/fakes/swarm-state.js";
import { createConfig } from "./config.js";
import { createSecret, removeSecret, shownSecret, updateSecret } from "./secret.js";

const NAME_RULE =
  "invalid-argument: invalid name, only 64 [a-zA-Z0-9-_.] characters allowed, and the start and end character must be [a-zA-Z0-9]";
const SECRET_SIZE =
  "invalid-argument: secret data must be larger than 0 and less than 512000 bytes";
const CONFIG_SIZE =
  "invalid-argument: config data must be larger than 0 and less than 1024000 bytes";

describe("a secret or config", () => {
  const spec = (name: string, bytes: number, templating = "") => ({
    spec: { name, labels: {}, data: Buffer.alloc(bytes, 1), templating },
  });
  const cases = [
    [createSecret, spec("db.pass-1_2", 511_999), "made"],
    [createSecret, spec("a", 1, "golang"), "made"],
    [createSecret, spec("a", 512_000), SECRET_SIZE],
    [createSecret, spec("a", 0), SECRET_SIZE],
    [createConfig, spec("a", 1_023_999), "made"],
    [createConfig, spec("a", 1_024_000), CONFIG_SIZE],
    [createSecret, spec("bad name", 1), NAME_RULE],
    [createSecret, spec("", 1), NAME_RULE],
    [createSecret, spec("-a", 1), NAME_RULE],
    [createSecret, spec("a".repeat(65), 1), NAME_RULE],
    [createSecret, spec("taken", 1), "already-exists: secret taken already exists"],
    [createConfig, spec("taken", 1), "made"],
    [
      createSecret,
      spec("a", 1, "jinja"),
      'unimplemented: template driver "jinja" is not supported; "golang" is',
    ],
  ] as const;
  for (const [create, request, want] of cases) {
    const { name, data } = request.spec;
    const title = `${create.name} ${JSON.stringify(name)} of ${data.length} bytes: ${want}`;
    test(title, () => {
      const swarm = new SwarmState();
      makeSecret(swarm, "taken");
      const result = swarm.write<unknown>((draft) => create(draft, request, swarm.context));
      expect(isRefusal(result) ? sentenceOf(result) : "made").toBe(want);
    });
  }
});

describe("a secret", () => {
  const update = (swarm: SwarmState, id: string, parts: object, version?: number) => {
    const before = swarm.view.secret(id);
    const request = {
      id,
      version: version ?? before?.meta?.version ?? 0,
      spec: { name: "pass", labels: { a: "b" }, data: Buffer.alloc(0), templating: "", ...parts },
    };
    return swarm.write((draft) => updateSecret(draft, request));
  };

  test("changes its labels and nothing else", () => {
    const swarm = new SwarmState();
    const id = makeSecret(swarm, "pass");
    expect(isRefusal(update(swarm, id, {}))).toBe(false);
    expect(isRefusal(update(swarm, id, { data: Buffer.from("s3cret") }))).toBe(false);
    expect(swarm.view.secret(id)?.spec).toMatchObject({
      labels: { a: "b" },
      data: Buffer.from("s3cret"),
    });
    const only = "invalid-argument: only updates to Labels are allowed";
    expect(sentenceOf(update(swarm, id, { data: Buffer.from("other") }))).toBe(only);
    expect(sentenceOf(update(swarm, id, { name: "other" }))).toBe(only);
    expect(sentenceOf(update(swarm, id, {}, 1))).toBe(
      "failed-precondition: update out of sequence",
    );
    expect(sentenceOf(update(swarm, "nosuch", {}))).toBe("not-found: secret nosuch not found");
  });

  test("is never shown, and goes when it is removed", () => {
    const swarm = new SwarmState();
    const id = makeSecret(swarm, "pass");
    const secret = swarm.view.secret(id);
    expect(secret && shownSecret(secret).spec?.data).toHaveLength(0);
    const remove = () => swarm.write((draft) => removeSecret(draft, { id }));
    expect(remove()).toBeUndefined();
    expect(sentenceOf(remove())).toBe(`not-found: secret ${id} not found`);
  });
});
