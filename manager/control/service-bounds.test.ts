import { describe, expect, test } from "vitest";
import { serviceSpec } from "../../test/fakes/services.js";
import { SwarmState, sentenceOf } from "../../test/fakes/swarm-state.js";
import { createService } from "./service.js";

const many = <T>(count: number, make: (i: number) => T) =>
  Array.from({ length: count }, (_, i) => make(i));
const labels = (count: number) => Object.fromEntries(many(count, (i) => [`l${i}`, "v"]));
const ports = many(1_001, (i) => ({ targetPort: 80, publishedPort: 10_000 + i }));
const port = (parts: object) => ({ endpoint: { ports: [{ targetPort: 80, ...parts }] } });

const cases: readonly (readonly [string, object, string])[] = [
  ["too many labels", { labels: labels(2_001) }, "2001 labels are more than 2000"],
  ["too many ports", { endpoint: { ports } }, "1001 ports are more than 1000"],
  [
    "too many networks",
    { task: { networks: many(33, (i) => ({ target: `n${i}` })) } },
    "33 networks are more than 32",
  ],
  [
    "too many aliases",
    { task: { networks: [{ target: "n", aliases: many(33, (i) => `a${i}`) }] } },
    "33 aliases are more than 32",
  ],
  [
    "an alias that is no name",
    { task: { networks: [{ target: "n", aliases: ["a b"] }] } },
    'alias "a b" is not valid: 1 to 253 letters, digits, "_", "." and "-", a letter or digit first',
  ],
  [
    "too many constraints",
    { task: { placement: { constraints: many(65, () => "node.id!=x") } } },
    "65 placement constraints are more than 64",
  ],
  [
    "an ingress that there is not",
    { labels: { "skein.ingress": "constructor" } },
    'invalid value "constructor" of label skein.ingress: it must be one of preserve, local, snat',
  ],
  [
    "an affinity that there is not",
    { labels: { "skein.affinity": "" } },
    'invalid value "" of label skein.affinity: it must be "client", or the label left away',
  ],
  ["a protocol of a later release", port({ protocol: 7 }), "unknown protocol of a port"],
  ["a publish mode of a later release", port({ publishMode: 9 }), "unknown publish mode of a port"],
  ["a mode of a later release", { endpoint: { mode: 2 } }, "unknown endpoint mode"],
  ["an order of a later release", { update: { order: 2 } }, "unknown update order"],
  [
    "a condition of a later release",
    { task: { restart: { condition: 3 } } },
    "unknown restart condition",
  ],
  [
    "ingress ports without a VIP",
    { endpoint: { mode: 1, ports: [{ targetPort: 80 }] } },
    "EndpointSpec: port published with ingress mode can't be used with dnsrr mode",
  ],
];

describe("a service is refused that asks for", () => {
  for (const [name, parts, want] of cases) {
    test(name, () => {
      const swarm = new SwarmState();
      const refused = swarm.write((draft) =>
        createService(draft, { spec: serviceSpec(parts) }, swarm.context),
      );
      expect(sentenceOf(refused)).toBe(`invalid-argument: ${want}`);
    });
  }
});
