// Every family inside over every family of the wire, between hosts of every data path, and a machine without an agent
// among them. All of one wire is asked at once, by everybody; the tests then say one by one what came of it.
import { afterAll, beforeAll, describe, expect, type TestContext, test } from "vitest";
import {
  type Check,
  INSIDES,
  type Inside,
  MatrixLab,
  type Member,
  type Outcomes,
  PATHS,
  type Path,
  PORT,
  PUBLISHED,
} from "./matrix-lab.js";

const insides = Object.keys(INSIDES) as Inside[];
const hostOf = (path: Path) => `h${1 + PATHS.indexOf(path)}`;
const pairs = PATHS.flatMap((from) =>
  PATHS.filter((to) => to !== from).map((to) => [from, to] as const),
);
const LOOPBACK = ["127.0.0.1", "::1"];

describe.each([4, 6] as const)("over IPv%i", (underlay) => {
  let matrix: MatrixLab;
  /** By network and asker. */
  const heard = new Map<string, Outcomes>();

  beforeAll(async () => {
    matrix = await MatrixLab.up(underlay);
    const asking = insides.flatMap((inside) => {
      const { tasks, plain } = matrix.network(inside);
      return [...tasks.values(), plain].map(async (member) => {
        const checks = checksOf(matrix, inside, member);
        heard.set(`${inside} ${member.host}`, await matrix.probe(member.netns, checks));
      });
    });
    const client = matrix.probe(matrix.client.netns, checksOfClient(matrix));
    for (const { name } of matrix.hosts) {
      const netns = `/run/netns/${matrix.lab.netns(name)}`;
      asking.push(
        matrix.probe(netns, checksOfHost(matrix)).then((outcomes) => {
          heard.set(name, outcomes);
        }),
      );
    }
    await Promise.all(asking);
    heard.set("client", await client);
  }, 240_000);
  afterAll(() => matrix?.down());

  function expectOk(asker: string, checks: readonly string[]) {
    const outcomes = heard.get(asker) ?? {};
    const found = Object.fromEntries(checks.map((check) => [check, outcomes[check]]));
    expect(found).toEqual(Object.fromEntries(checks.map((check) => [check, "ok"])));
  }

  /** What was heard counts whatever carried it; but it says nothing of a path that this machine does not have. */
  function skipWithout(paths: readonly Path[], { skip }: TestContext) {
    for (const path of paths) {
      const taken = matrix.pathOf(hostOf(path));
      skip(taken.path !== path, `${hostOf(path)} took the ${taken.path} path. ${taken.why}`);
    }
  }

  describe.each(insides)("%s inside", (inside) => {
    const each = (check: string) => INSIDES[inside].map((family) => `${check}${family}`);

    test.for(pairs)("%s → %s: full frames and TCP", ([from, to], context) => {
      const to_ = hostOf(to);
      expectOk(`${inside} ${hostOf(from)}`, [...each(`ping ${to_} `), ...each(`tcp ${to_} `)]);
      skipWithout([from, to], context);
    });

    test.for(PATHS)("%s: names, and the service's address", (path, context) => {
      const names = ["vip 4", "vip 6", "tasks 4", "tasks 6"];
      expectOk(`${inside} ${hostOf(path)}`, [...names, ...each("service ")]);
      skipWithout([path], context);
    });

    test.for(PATHS)(
      "%s: published, to itself, and to others with the client's own address",
      (path, context) => {
        expectOk("client", [`${inside} ${hostOf(path)}`]);
        expectOk(
          hostOf(path),
          LOOPBACK.map((address) => `${inside} ${address}`),
        );
        skipWithout([path], context);
      },
    );

    test.for(PATHS)("%s ↔ a plain VXLAN device", (path, context) => {
      const checks = (host: string) => [...each(`ping ${host} `), ...each(`tcp ${host} `)];
      expectOk(`${inside} ${hostOf(path)}`, checks("h4"));
      expectOk(`${inside} h4`, checks(hostOf(path)));
      skipWithout([path], context);
    });
  });
});

function checksOf(matrix: MatrixLab, inside: Inside, asker: Member): Record<string, Check> {
  const { tasks, plain, vip } = matrix.network(inside);
  const checks: Record<string, Check> = {};
  for (const { host, addresses } of [...tasks.values(), plain]) {
    if (host === asker.host) continue;
    for (const [family, address] of Object.entries(addresses)) {
      checks[`ping ${host} ${family}`] = { kind: "ping", host: address };
      checks[`tcp ${host} ${family}`] = { kind: "tcp", host: address, port: PORT, name: host };
    }
  }
  // That machine has no resolver of ours, and no tables.
  if (asker === plain) return checks;
  const service = `web-${inside}`;
  for (const family of [4, 6] as const) {
    const found = [...tasks.values()].flatMap(({ addresses }) => addresses[family] ?? []);
    const address = vip[family];
    const own = address === undefined ? [] : [address];
    checks[`vip ${family}`] = { kind: "resolves", name: service, family, want: own };
    checks[`tasks ${family}`] = { kind: "resolves", name: `tasks.${service}`, family, want: found };
    if (address === undefined) continue;
    const names = [...tasks.keys()];
    checks[`service ${family}`] = { kind: "all", host: address, port: PORT, names };
  }
  return checks;
}

/** What the machine asks of itself; whoever answers sees an address that leads back here. */
function checksOfHost(matrix: MatrixLab): Record<string, Check> {
  const checks: Record<string, Check> = {};
  for (const inside of insides) {
    const names = [...matrix.network(inside).tasks.keys()];
    for (const host of LOOPBACK)
      checks[`${inside} ${host}`] = { kind: "all", host, port: PUBLISHED[inside], names };
  }
  return checks;
}

function checksOfClient(matrix: MatrixLab): Record<string, Check> {
  const checks: Record<string, Check> = {};
  for (const inside of insides) {
    const names = [...matrix.network(inside).tasks.keys()];
    for (const { name, address } of matrix.hosts) {
      const client = matrix.client.address;
      const at = { host: address, port: PUBLISHED[inside] };
      checks[`${inside} ${name}`] = { kind: "all", ...at, names, client };
    }
  }
  return checks;
}
