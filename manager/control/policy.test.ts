import { describe, expect, test } from "vitest";
import { isRefusal } from "../../common/fault.js";
import type { AllowPolicyRequest } from "../../proto/gen/control.js";
import { Policy, PolicyProtocol } from "../../proto/gen/types.js";
import { changeService, makeService, serviceSpec } from "../../test/fakes/services.js";
import { SwarmState, sentenceOf } from "../../test/fakes/swarm-state.js";
import { removeNetwork } from "./network.js";
import { allowPolicy, removePolicy } from "./policy.js";
import { removeService } from "./service.js";

const DENY = { "skein.policy": "deny" };
const TCP = (port: number) => ({ protocol: PolicyProtocol.TCP, port });

/** web and db on shop, which denies; lone on open, which does not. */
function world() {
  const swarm = new SwarmState();
  const network = (name: string, driverOpts: Record<string, string> = {}) =>
    swarm.network({ name, driverOpts }).id;
  const [shop, open] = [network("shop", DENY), network("open", { "skein.policy": "allow" })];
  const service = (name: string, ...on: string[]) =>
    makeService(swarm, serviceSpec({ name, task: { networks: on.map((target) => ({ target })) } }));
  const services = {
    web: service("web", shop, open),
    db: service("db", shop),
    lone: service("lone", open),
  };
  const allow = (request: Partial<AllowPolicyRequest>) =>
    swarm.write((draft) =>
      allowPolicy(draft, { network: "", from: "", to: "", ports: [], ...request }, swarm.context),
    );
  return { swarm, shop, open, services, allow };
}

describe("a policy", () => {
  test("is found its network, and names its parts by id", () => {
    const { swarm, shop, services, allow } = world();
    allow({ from: "web", to: "db", ports: [TCP(5432)] });
    expect([...swarm.view.policies()]).toMatchObject([
      {
        networkId: shop,
        fromServiceId: services.web.id,
        toServiceId: services.db.id,
        ports: [TCP(5432)],
      },
    ]);
  });

  test("is one for a pair: allowing again adds ports, and no port is every port", () => {
    const { swarm, allow } = world();
    const ports = () => [...swarm.view.policies()].map((policy) => policy.ports);
    allow({ from: "web", to: "db", ports: [TCP(1), TCP(1)] });
    allow({ from: "web", to: "db", ports: [TCP(2), TCP(1)] });
    allow({ to: "db", ports: [TCP(3)] });
    expect(ports()).toEqual([[TCP(1), TCP(2)], [TCP(3)]]);
    allow({ from: "web", to: "db" });
    expect(ports()).toEqual([[], [TCP(3)]]);
    allow({ from: "web", to: "db", ports: [TCP(4)] });
    expect(ports()).toEqual([[], [TCP(3)]]);
  });

  const bad: readonly (readonly [string, Partial<AllowPolicyRequest>, string])[] = [
    ["to nothing", { from: "web" }, "not-found: service  not found"],
    ["to what is not there", { from: "web", to: "x" }, "not-found: service x not found"],
    ["from what is not there", { from: "x", to: "db" }, "not-found: service x not found"],
    [
      "without a network that denies",
      { from: "web", to: "lone" },
      "failed-precondition: no network with skein.policy=deny that both services are on",
    ],
    [
      "on a network that denies nothing",
      { from: "web", to: "lone", network: "open" },
      "failed-precondition: network open denies nothing: it was made without --opt skein.policy=deny",
    ],
    [
      "for a service that is elsewhere",
      { from: "lone", to: "db", network: "shop" },
      "invalid-argument: service lone is not on network shop",
    ],
    [
      "for too high a port",
      { from: "web", to: "db", ports: [TCP(65_536)] },
      "invalid-argument: invalid port 65536",
    ],
    [
      "for an unknown protocol",
      { from: "web", to: "db", ports: [{ protocol: 9 as PolicyProtocol, port: 1 }] },
      "invalid-argument: unknown protocol 9",
    ],
    [
      "for too many ports at once",
      { from: "web", to: "db", ports: Array.from({ length: 65 }, (_, i) => TCP(i + 1)) },
      "invalid-argument: a policy names at most 64 ports",
    ],
  ];
  for (const [name, request, want] of bad) {
    test(`${name} is refused`, () => expect(sentenceOf(world().allow(request))).toBe(want));
  }

  test("does not grow past its limit", () => {
    const { allow } = world();
    const ports = Array.from({ length: 64 }, (_, i) => TCP(i + 1));
    expect(isRefusal(allow({ from: "web", to: "db", ports }))).toBe(false);
    expect(sentenceOf(allow({ from: "web", to: "db", ports: [TCP(99)] }))).toBe(
      "invalid-argument: a policy names at most 64 ports",
    );
  });

  test("goes by its id, once", () => {
    const { swarm, allow } = world();
    allow({ from: "web", to: "db" });
    const [policy] = [...swarm.view.policies()];
    const remove = () =>
      swarm.write((draft) => removePolicy(draft, { id: policy?.id ?? "" }) ?? "");
    expect(remove()).toBe("");
    expect(sentenceOf(remove())).toBe(`not-found: policy ${policy?.id} not found`);
  });

  test("goes when a service leaves the network, with what is about it there", () => {
    const { swarm, services, allow } = world();
    allow({ from: "web", to: "db" });
    allow({ to: "db" });
    const change = (networks: { target: string }[]) => {
      const { id, spec } = services.web;
      changeService(swarm, id, serviceSpec({ ...spec, task: { networks } }));
    };
    change([{ target: "open" }, { target: "shop" }]);
    expect([...swarm.view.policies()]).toHaveLength(2);
    change([{ target: "open" }]);
    expect([...swarm.view.policies()].map(({ fromServiceId }) => fromServiceId)).toEqual([""]);
  });

  test("is one of a thousand on its network at most", () => {
    const { swarm, shop, services, allow } = world();
    swarm.must((draft) => {
      for (let i = 0; i < 1_000; i++) {
        const parts = { networkId: shop, toServiceId: services.db.id };
        draft.create("policy", Policy.fromPartial({ id: `p${i}`, ...parts, fromServiceId: "" }));
      }
      return true;
    });
    expect(sentenceOf(allow({ to: "web" }))).toBe(
      "resource-exhausted: a network has at most 1000 policies",
    );
    expect(isRefusal(allow({ to: "db" }))).toBe(false);
  });

  test("goes with either service, and with its network", () => {
    for (const name of ["web", "db"] as const) {
      const { swarm, services, allow } = world();
      allow({ from: "web", to: "db" });
      const { id } = services[name];
      swarm.must((draft) => removeService(draft, { id }, swarm.context) ?? "");
      expect([...swarm.view.policies()]).toEqual([]);
    }
    const { swarm, shop, services, allow } = world();
    allow({ to: "web" });
    for (const { id } of [services.web, services.db]) {
      swarm.must((draft) => removeService(draft, { id }, swarm.context) ?? "");
    }
    swarm.must((draft) => removeNetwork(draft, { id: shop }, swarm.context) ?? "");
    expect([...swarm.view.policies()]).toEqual([]);
  });
});

describe("a network with an option of our own", () => {
  const known = "Skein's own options are skein.policy=allow|deny and skein.sources=own|mac";
  const bad = [
    [{ "skein.policy": "denny" }, `invalid skein.policy "denny": ${known}`],
    [{ "skein.policy": "" }, `invalid skein.policy "": ${known}`],
    [{ "skein.polcy": "deny" }, `unknown driver option "skein.polcy": ${known}`],
    [{ "Skein.Policy": "deny" }, `unknown driver option "Skein.Policy": ${known}`],
  ] as const;
  for (const [driverOpts, want] of bad) {
    test(`${JSON.stringify(driverOpts)} is not left open by mistake`, () => {
      const swarm = new SwarmState();
      const made = swarm.write((draft) => swarm.createNetwork(draft, { name: "n", driverOpts }));
      expect(sentenceOf(made)).toBe(`invalid-argument: ${want}`);
    });
  }

  test("the ingress network cannot deny", () => {
    const swarm = new SwarmState();
    const ingress = swarm.view.ingressNetwork();
    swarm.must((draft) => removeNetwork(draft, { id: ingress?.id ?? "" }, swarm.context) ?? "");
    const spec = { name: "in", ingress: true, attachable: false, driverOpts: DENY };
    expect(sentenceOf(swarm.write((draft) => swarm.createNetwork(draft, spec)))).toBe(
      "invalid-argument: the ingress network carries what is published to everybody: it cannot deny",
    );
  });
});
