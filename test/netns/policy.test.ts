// A network that denies, on two hosts: what a policy allows comes through, by VIP and directly, and all else
// is refused at once; policies come and go, agents too.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Lab, until } from "./lab.js";

const ECHO = new URL("echo.mjs", import.meta.url).pathname;
const [PORT, OTHER] = ["5432", "5433"];
/** What an application is told of a refusal: a reset, or one of ICMP's words. */
const REFUSED = /^(ECONNREFUSED|EHOSTUNREACH|EACCES)$/;

let lab: Lab;

/** Where each service's one task runs. */
const hostOf = { db: "h2", web: "h1", other: "h1" } as const;
type Service = keyof typeof hostOf;

beforeAll(async () => {
  lab = await Lab.up("policy", 2);
  await lab.swarm();
  const shop = "-d overlay --attachable --opt skein.policy=deny shop".split(" ");
  await lab.docker("h1", "network", "create", ...shop);
  for (const [name, host] of Object.entries(hostOf)) {
    const serve = `node ${ECHO} serve ${name} ${PORT} & exec node ${ECHO} serve ${name} ${OTHER}`;
    await lab.docker(
      ...["h1", "service", "create", "-d", "-q", "--name", name, "--network", "shop"],
      ...["--stop-grace-period", "1s", "--constraint", `node.hostname==${host}`],
      ...["process", "sh", "-c", serve],
    );
  }
  const lone = ["--name", "lone", "--network", "shop", "--runtime", "process", "process"];
  await lab.docker("h1", "run", "-d", ...lone, "node", ECHO, "serve", "lone", PORT);
}, 120_000);
afterAll(() => lab?.down());

beforeEach(async () => {
  const ids = (await lab.skein("h1", "policy", "ls", "-q", "--no-trunc")).split("\n");
  if (ids[0] !== "") await lab.skein("h1", "policy", "rm", ...ids);
});

async function containerOf(name: Service | "lone"): Promise<readonly [string, string]> {
  if (name === "lone") return ["h1", "lone"];
  const host = hostOf[name];
  const label = `label=com.docker.swarm.service.name=${name}`;
  return [host, await lab.docker(host, "ps", "-q", "--filter", label)];
}

async function addressOf(name: Service | "lone"): Promise<string> {
  const [host, container] = await containerOf(name);
  const format = '{{(index .NetworkSettings.Networks "shop").IPAddress}}';
  return lab.docker(host, "inspect", "--format", format, container);
}

async function vipOf(name: Service): Promise<string> {
  const format = "{{(index .Endpoint.VirtualIPs 0).Addr}}";
  return (
    (await lab.docker("h1", "service", "inspect", "--format", format, name)).split("/")[0] ?? ""
  );
}

/** What `from` hears of `host`; a refusal is the name of its error. */
async function ask(from: Service | "lone", protocol: string, host: string, port = PORT) {
  const [on, container] = await containerOf(from);
  return lab.docker(on, "exec", container, "node", ECHO, "ask", protocol, host, port);
}

async function asks(
  from: Service | "lone",
  protocol: string,
  host: string,
  want: RegExp,
  port = PORT,
) {
  await until(`${from} hears ${want} of ${host}:${port}/${protocol}`, async () =>
    want.test(await ask(from, protocol, host, port)),
  );
}

const allow = (...words: string[]) => lab.skein("h1", "policy", "allow", ...words);

describe("nothing is allowed at first", () => {
  test("TCP and UDP are refused at once, by VIP and directly, from services and others", async () => {
    for (const host of [await vipOf("db"), await addressOf("db")]) {
      for (const protocol of ["tcp", "udp"]) {
        await asks("web", protocol, host, REFUSED);
        await asks("lone", protocol, host, REFUSED);
      }
    }
    const startMs = performance.now();
    expect(await ask("web", "tcp", await addressOf("db"))).toMatch(REFUSED);
    // Most of it is the start of two programs; a packet that is dropped is asked again after a second.
    expect(performance.now() - startMs).toBeLessThan(1_000);
  });

  test("ping is not answered, and containers of no service are not reached", async () => {
    const [on, web] = await containerOf("web");
    const ping = ["ping", "-c", "1", "-W", "1", await addressOf("db")];
    expect((await lab.on(on, "docker", "exec", web, ...ping)).code).not.toBe(0);
    await asks("web", "tcp", await addressOf("lone"), REFUSED);
  });
});

describe("what is allowed", () => {
  test("is one port from one service, by VIP and directly, and its answers", async () => {
    await allow("web", "db", "--port", `${PORT}/tcp`);
    const [vip, direct, web] = [await vipOf("db"), await addressOf("db"), await addressOf("web")];
    for (const host of [vip, direct]) await asks("web", "tcp", host, new RegExp(`^db ${web}$`));
    for (const host of [vip, direct]) {
      await asks("web", "tcp", host, REFUSED, OTHER);
      await asks("web", "udp", host, REFUSED);
      await asks("other", "tcp", host, REFUSED);
      await asks("lone", "tcp", host, REFUSED);
    }
    await asks("db", "tcp", web, REFUSED);
    expect(await lab.skein("h1", "policy", "explain", "web", `db:${PORT}`)).toMatch(
      /^shop: allowed/,
    );
    const denied = await lab.on("h1", "skein", "policy", "explain", "other", "db");
    expect([denied.code, denied.stdout]).toEqual([1, "shop: denied: no policy allows it\n"]);
  });

  test("grows by a port, by a protocol, and to everything", async () => {
    const direct = await addressOf("db");
    await allow("web", "db", "--port", "udp");
    await asks("web", "udp", direct, /^db /);
    await asks("web", "udp", direct, /^db /, OTHER);
    await asks("web", "tcp", direct, REFUSED);
    await allow("web", "db");
    await asks("web", "tcp", direct, /^db /, OTHER);
    const [on, web] = await containerOf("web");
    await lab.docker(on, "exec", web, "ping", "-c", "1", "-W", "2", direct);
  });

  test("to everybody is to containers of no service too", async () => {
    await allow("any", "db", "--port", PORT);
    for (const from of ["web", "other", "lone"] as const) {
      await asks(from, "tcp", await vipOf("db"), /^db /);
      await asks(from, "tcp", await addressOf("db"), REFUSED, OTHER);
    }
  });

  test("follows a task that comes later", async () => {
    await allow("web", "db", "--port", PORT);
    await lab.docker("h1", "service", "scale", "-d", "web=2");
    await until("both tasks of web are heard", async () => {
      const label = "label=com.docker.swarm.service.name=web";
      const containers = (await lab.docker("h1", "ps", "-q", "--filter", label)).split("\n");
      const vip = await vipOf("db");
      const heard = await Promise.all(
        containers.map((each) =>
          lab.docker("h1", "exec", each, "node", ECHO, "ask", "tcp", vip, PORT),
        ),
      );
      return heard.length === 2 && heard.every((each) => each.startsWith("db "));
    });
    await lab.docker("h1", "service", "scale", "-d", "web=1");
  });
});

test("what was attached by hand asks as everybody does, and is not asked", async () => {
  const netns = `skein-${lab.name}-build`;
  await lab.must("netns", "build");
  const attach = ["attach", "-q", "--network", "shop"];
  const addresses = {
    machine: await lab.skein("h1", ...attach),
    build: await lab.skein("h1", ...attach, "--netns", netns),
  };
  const within = ["nsenter", `--net=/run/netns/${netns}`];
  const serve = ["node", ECHO, "serve", "by hand", OTHER];
  const [onMachine, inBuild] = [lab.start("h1", ...serve), lab.start("h1", ...within, ...serve)];
  const ready = () => [onMachine, inBuild].every(({ output }) => output().includes("ready"));
  await until("both serve", ready);
  for (const address of Object.values(addresses)) await asks("web", "tcp", address, REFUSED, OTHER);
  const db = await addressOf("db");
  const hears = (words: readonly string[], want: RegExp) =>
    until(`${words.join(" ")} hears ${want}`, async () =>
      want.test(await lab.ok("h1", ...words, "node", ECHO, "ask", "tcp", db, PORT)),
    );
  await hears([], REFUSED);
  await hears(within, REFUSED);
  await allow("any", "db", "--port", PORT);
  await hears([], /^db /);
  await hears(within, /^db /);
  // The machine's other ends are not the network's business.
  expect(await lab.ok("h1", "node", ECHO, "ask", "tcp", "192.168.33.10", OTHER)).toMatch(
    /^by hand/,
  );
  await onMachine.stop();
  await inBuild.stop();
  const ids = (await lab.skein("h1", "attachments", "-q")).split("\n");
  await lab.skein("h1", "detach", ...ids);
});

describe("what is taken away", () => {
  test("is refused to new connections; one that is open goes on", async () => {
    const id = await allow("web", "db", "--port", PORT);
    const vip = await vipOf("db");
    await asks("web", "tcp", vip, /^db /);
    const [on, web] = await containerOf("web");
    const talk = `while :; do echo tick; sleep 0.1; done | node ${ECHO} chat ${vip} ${PORT}`;
    const open = lab.start(on, "docker", "exec", web, "sh", "-c", talk);
    const ticks = () => open.output().split("tick").length;
    await until("the connection is open", () => open.output().startsWith("db ") && ticks() > 2);
    await lab.skein("h1", "policy", "rm", id);
    await asks("web", "tcp", vip, REFUSED);
    const before = ticks();
    await until("the open connection goes on", () => ticks() > before + 2);
    await open.stop("SIGKILL");
  });

  test("goes with its service", async () => {
    await allow("other", "db");
    await lab.docker("h1", "service", "rm", "other");
    await until(
      "the policy is gone",
      async () => (await lab.skein("h1", "policy", "ls", "-q")) === "",
    );
  });
});

test("an agent that is killed and started finds the rules as they were, and has missed nothing", async () => {
  await allow("web", "db", "--port", PORT);
  const direct = await addressOf("db");
  await asks("web", "tcp", direct, /^db /);
  await lab.must("kill", "h2", "agent");
  expect(await ask("web", "tcp", direct)).toMatch(/^db /);
  expect(await ask("web", "tcp", direct, OTHER)).toMatch(REFUSED);
  const [id = ""] = (await lab.skein("h1", "policy", "ls", "-q", "--no-trunc")).split("\n");
  await lab.skein("h1", "policy", "rm", id);
  await lab.must("start", "h2");
  await asks("web", "tcp", direct, REFUSED);
}, 60_000);
