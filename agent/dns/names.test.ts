import fc from "fast-check";
import { expect, test } from "vitest";
import { parseIp } from "../../common/address.js";
import { Network } from "../../proto/gen/types.js";
import { question, see } from "../../test/fakes/dns-messages.js";
import type { ReachNetwork, ReachService, Single } from "../reach/reach.js";
import { NetworkNames } from "./names.js";
import { readQuery } from "./query.js";
import { nameKey } from "./wire.js";
import { answer } from "./zone.js";

// A few names only, so that they collide.
const name = fc.constantFrom("a", "b", "c.d", "tasks.a");
const address = fc.nat(5).map((n) => parseIp(`10.0.0.${n}`));
const single = fc.record({ id: fc.nat(4), name, alias: name, hostname: name, ipv4: address });
const service = fc.record({
  id: fc.nat(4),
  name,
  alias: name,
  vip: fc.option(address),
  backends: fc.array(fc.record({ ipv4: address, usable: fc.boolean() }), { maxLength: 3 }),
});
const step = fc.oneof(
  fc.record({ kind: fc.constant("single" as const), value: single }),
  fc.record({ kind: fc.constant("service" as const), value: service }),
  fc.record({ kind: fc.constant("gone" as const), value: fc.record({ id: fc.nat(4) }) }),
);

const ASKED = [
  "a",
  "b",
  "c.d",
  "tasks.a",
  "tasks.tasks.a",
  "a.net",
  "c.d.net",
  "1.0.0.10.in-addr.arpa",
];

function view(services: Map<number, ReachService>, singles: Map<number, Single>): ReachNetwork {
  return {
    network: Network.fromPartial({ id: "n", spec: { name: "net" } }),
    services: [...services.values()],
    singles: [...singles.values()],
    policies: [],
    own: new Map(),
  };
}

function answers(names: NetworkNames): unknown {
  const zone = [{ key: nameKey("net"), names, subnets: [] }];
  return ASKED.map((asked) => {
    const read = readQuery(question(asked, asked.endsWith("arpa") ? "PTR" : "A"));
    const bytes = read.kind === "query" ? answer(zone, read.query, "tcp", 1) : undefined;
    if (bytes === undefined) return "outside";
    const seen = see(bytes).answers;
    // Whose the address is may be any of those who have it.
    return asked.endsWith("arpa") ? seen.length : [...seen].sort();
  });
}

test("names that follow every change answer as names that are made anew", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
      const services = new Map<number, ReachService>();
      const singles = new Map<number, Single>();
      const followed = new NetworkNames();
      for (const { kind, value } of steps) {
        if (kind === "gone") {
          services.delete(value.id);
          singles.delete(value.id);
        } else if (kind === "single") singles.set(value.id, singleOf(value));
        else services.set(value.id, serviceOf(value));
        followed.update(view(services, singles));
        const fresh = new NetworkNames();
        fresh.update(view(services, singles));
        expect(answers(followed)).toEqual(answers(fresh));
      }
    }),
    { numRuns: 300 },
  );
});

type Of<T> = T extends fc.Arbitrary<infer U> ? U : never;
function singleOf({ id, alias, ...rest }: Of<typeof single>): Single {
  return { ...rest, endpointId: `c${id}`, nodeId: "x", aliases: [alias], ipv6: undefined };
}
function serviceOf({ id, name, alias, vip, backends }: Of<typeof service>): ReachService {
  return {
    id: `s${id}`,
    name,
    aliases: [alias],
    row: undefined,
    vip: vip === null ? undefined : { ipv4: vip, ipv6: undefined },
    backends: backends.map((each, i) => ({
      ...each,
      endpointId: `t${id}-${i}`,
      taskId: `t${i}`,
      nodeId: "x",
      name: `${name}.${i}`,
      hostname: "",
      aliases: [],
      ipv6: undefined,
    })),
  };
}
