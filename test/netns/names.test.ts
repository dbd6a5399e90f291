// Names as containers see them: three hosts, services and containers, and name servers of the outside.
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { question, see } from "../fakes/dns-messages.js";
import { Lab, until, WATCHED_BRIEFLY } from "./lab.js";

const ASK = fileURLToPath(new URL("ask.mjs", import.meta.url));
const SERVER = fileURLToPath(new URL("name-server.mjs", import.meta.url));
// The first host's address in the lab.
const OUTSIDE = "192.168.33.10";
const RESOLVER = "127.0.0.11:53";

let lab: Lab;

beforeAll(async () => {
  lab = await Lab.up("names", 3);
  await lab.must("images", "alpine");
  await lab.swarm();
  for (const name of ["front", "back"]) {
    await lab.docker("h1", "network", "create", "-d", "overlay", "--attachable", name);
  }
  const closed = ["-d", "overlay", "--attachable", "--internal", "closed"];
  await lab.docker("h1", "network", "create", ...closed);
  const serve = [...WATCHED_BRIEFLY, "--stop-grace-period", "1s", "alpine", "sleep", "1d"];
  const web = ["--name", "web", "--replicas", "3", "--network", "name=front,alias=www"];
  await lab.docker("h1", "service", "create", "-q", ...web, ...serve);
  const rr = ["--name", "rr", "--replicas", "2", "--endpoint-mode", "dnsrr", "--network", "front"];
  await lab.docker("h1", "service", "create", "-q", ...rr, ...serve);
  await box("h1", "one", "--network", "front", "--network-alias", "uno", "--hostname", "onehost");
  await box("h2", "two", "--network", "front");
  await box("h3", "two", "--network", "back");
  await box("h3", "three", "--network", "front");
  await lab.docker("h3", "network", "connect", "back", "three");
}, 180_000);
afterAll(() => lab.down());

const box = (host: string, name: string, ...flags: readonly string[]) =>
  lab.docker(host, "run", "-d", "--name", name, ...flags, "alpine", "sleep", "1d");
const remove = (host: string, ...names: readonly string[]) =>
  lab.docker(host, "rm", "-f", ...names);
const pidOf = (host: string, container: string) =>
  lab.docker(host, "inspect", "--format", "{{.State.Pid}}", container);

/** What is answered inside a container: the code, then the records, in a fixed order. */
async function ask(
  [host, container]: readonly [string, string],
  name: string,
  type = "A",
  { protocol = "udp", edns = 0 } = {},
): Promise<string> {
  const seen = await asked([host, container], name, type, { protocol, edns });
  return seen === undefined ? "nothing" : [seen.code, ...[...seen.answers].sort()].join(" | ");
}

async function asked(
  [host, container]: readonly [string, string],
  name: string,
  type = "A",
  { protocol = "udp", edns = 0 } = {},
) {
  const message = question(name, type, { edns }).toString("hex");
  const enter = ["nsenter", "-t", await pidOf(host, container), "-n"];
  const answer = await lab.ok(host, ...enter, "node", ASK, protocol, RESOLVER, message);
  return answer === "nothing" ? undefined : see(Buffer.from(answer, "hex"));
}

async function addressOf(host: string, container: string, network: string): Promise<string> {
  const format = `{{(index .NetworkSettings.Networks "${network}").IPAddress}}`;
  return lab.docker(host, "inspect", "--format", format, container);
}
async function vipOf(service: string): Promise<string> {
  const format = "{{range .Endpoint.VirtualIPs}}{{.Addr}}{{end}}";
  return (
    (await lab.docker("h1", "service", "inspect", "--format", format, service)).split("/")[0] ?? ""
  );
}
const one = ["h1", "one"] as const;
const three = ["h3", "three"] as const;

test("resolv.conf is Docker's", async () => {
  const text = await lab.docker("h1", "exec", "one", "cat", "/etc/resolv.conf");
  expect(text.split("\n")[0]).toBe("nameserver 127.0.0.11");
  expect(text).toMatch(/^options (.* )?ndots:0$/m);
});

describe("a container on one host asks for", () => {
  test("a service, its alias, in any letters, qualified: the VIP", async () => {
    const vip = `NOERROR | A ${await vipOf("web")}`;
    for (const name of ["web", "www", "WEB", "web.front", "web."]) {
      expect(await ask(one, name)).toBe(vip);
      expect(await ask(three, name)).toBe(vip);
    }
  });

  test("the tasks, and a service without a VIP: every one of them, on all hosts", async () => {
    const tasks = await until("all three serve", async () => {
      const said = await ask(one, "tasks.web");
      return said.split(" | ").length === 4 && said;
    });
    expect(await ask(three, "tasks.web")).toBe(tasks);
    const rr = await ask(one, "rr");
    expect(rr.split(" | ")).toHaveLength(3);
    expect(await ask(one, "tasks.rr")).toBe(rr);
  });

  test("a container elsewhere by name; itself by alias and hostname", async () => {
    const two = await addressOf("h2", "two", "front");
    expect(await ask(one, "two")).toBe(`NOERROR | A ${two}`);
    const own = `NOERROR | A ${await addressOf("h1", "one", "front")}`;
    for (const name of ["one", "uno", "onehost"]) expect(await ask(three, name)).toBe(own);
    const id = await lab.docker("h1", "inspect", "--format", "{{.Id}}", "one");
    expect(await ask(three, id.slice(0, 12))).toBe(own);
  });

  test("a name that two networks have: the first interface's, or the one that is named", async () => {
    const [front, back] = [
      await addressOf("h2", "two", "front"),
      await addressOf("h3", "two", "back"),
    ];
    expect(await ask(three, "two")).toBe(`NOERROR | A ${front}`);
    expect(await ask(three, "two.back")).toBe(`NOERROR | A ${back}`);
    expect(await ask(["h3", "two"], "two")).toBe(`NOERROR | A ${back}`);
  });

  test("the name of an address, and of one that nobody has", async () => {
    const reverse = (address: string) => `${address.split(".").reverse().join(".")}.in-addr.arpa`;
    const two = await addressOf("h2", "two", "front");
    expect(await ask(one, reverse(two), "PTR")).toBe("NOERROR | PTR two.front");
    expect(await ask(one, reverse(await vipOf("web")), "PTR")).toBe("NOERROR | PTR web.front");
    const nobody = two.replace(/\.\d+$/, ".250");
    expect(await ask(one, reverse(nobody), "PTR")).toBe("NXDOMAIN");
  });

  test("a family that the name lacks: the name is there", async () => {
    expect(await ask(one, "web", "AAAA")).toBe("NOERROR");
    expect(await ask(one, "two", "MX")).toBe("NOERROR");
  });

  test("what is not a question: it is refused, and the next is answered", async () => {
    const enter = ["nsenter", "-t", await pidOf("h1", "one"), "-n"];
    const odd = ["00", "000701000001000000000000c00c00010001", question("web").toString("hex")];
    const said = await lab.ok("h1", ...enter, "node", ASK, "udp", RESOLVER, ...odd);
    const [none, refused = "", right = ""] = said.split("\n");
    expect(none).toBe("nothing");
    expect(see(Buffer.from(refused, "hex")).code).toBe("FORMERR");
    expect(see(Buffer.from(right, "hex")).code).toBe("NOERROR");
  });
});

test("programs inside find names by themselves, over libc", async () => {
  const two = await addressOf("h2", "two", "front");
  expect(await lab.docker("h1", "exec", "one", "nslookup", "two")).toContain(`Address: ${two}`);
  await lab.docker("h1", "exec", "one", "ping", "-c", "1", "-W", "5", "two");
});

test("a port 53 of the container's own is left to it", async () => {
  // No program of ours listens there.
  const enter = ["nsenter", "-t", await pidOf("h1", "one"), "-n"];
  const listening = await lab.ok("h1", ...enter, "ss", "-Hlnut");
  expect(listening).not.toMatch(/:53\s/);
});

test("more tasks than UDP has room for: cut, and whole by TCP", async () => {
  const many = Array.from({ length: 40 }, (_, i) => `many-alias-${i}`);
  // As many addresses under one name as it takes: containers of one alias on a network of their own.
  await lab.docker("h1", "network", "create", "-d", "overlay", "--attachable", "crowd");
  const names = many.slice(0, 34);
  try {
    await Promise.all(
      names.map((name, i) =>
        box(`h${(i % 3) + 1}`, name, "--network", "crowd", "--network-alias", "all"),
      ),
    );
    const here = ["h1", names[0] ?? ""] as const;
    await until("all are known", async () => {
      const whole = await asked(here, "all", "A", { protocol: "tcp" });
      return whole?.answers.length === names.length;
    });
    const cut = await asked(here, "all");
    expect(cut?.flags).toContain("TC");
    // 512 bytes less header and question.
    expect(cut?.answers).toHaveLength(30);
    expect((await asked(here, "all", "A", { edns: 1232 }))?.answers).toHaveLength(34);
  } finally {
    await Promise.all(
      names.map((name, i) => lab.on(`h${(i % 3) + 1}`, "docker", "rm", "-f", name)),
    );
    await lab.docker("h1", "network", "rm", "crowd");
  }
}, 120_000);

describe("the outside", () => {
  const withServer = async (manner: string, work: (said: () => string) => Promise<void>) => {
    const server = lab.start("h1", "node", SERVER, OUTSIDE, manner);
    try {
      await until("it listens", () => server.output().includes("ready"));
      await work(() => server.output());
    } finally {
      server.stop();
    }
  };

  test("is asked of --dns, once for as long as the answer holds, over TCP if it must be", async () => {
    await withServer("", async (said) => {
      await box("h1", "out", "--network", "front", "--dns", OUTSIDE);
      try {
        const out = ["h1", "out"] as const;
        expect(await ask(out, "www.test")).toBe("NOERROR | A 192.0.2.1");
        expect(await ask(out, "WWW.test")).toBe("NOERROR | A 192.0.2.1");
        expect(said().match(/www\.test/g)).toHaveLength(1);
        expect(await ask(out, "www.test", "AAAA")).toBe("NOERROR");
        expect(await ask(out, "www.nowhere")).toBe("NXDOMAIN");
        const big = await asked(out, "big.test", "A", { protocol: "tcp" });
        expect(big?.answers).toHaveLength(100);
        expect(said()).toContain("tcp big.test");
        expect((await asked(out, "big.test"))?.flags).toContain("TC");
        // Ours are never asked of others.
        await ask(out, "web");
        expect(said()).not.toMatch(/ web/);
      } finally {
        await remove("h1", "out");
      }
    });
  }, 60_000);

  test("of two that are named, the second is asked when the first is silent", async () => {
    await withServer("", async () => {
      // Nobody has this address.
      const both = ["--dns", "192.168.33.99", "--dns", OUTSIDE];
      await box("h1", "out", "--network", "front", ...both);
      try {
        expect(await ask(["h1", "out"], "www.test")).toBe("NOERROR | A 192.0.2.1");
      } finally {
        await remove("h1", "out");
      }
    });
  }, 60_000);

  test("that is silent is said to be so while the asker still listens", async () => {
    await withServer("silent", async () => {
      await box("h1", "out", "--network", "front", "--dns", OUTSIDE);
      try {
        const started = performance.now();
        const said = await lab.on("h1", "docker", "exec", "out", "nslookup", "-type=A", "www.test");
        expect(said.stdout + said.stderr).toContain("SERVFAIL");
        expect(performance.now() - started).toBeLessThan(5_500);
      } finally {
        await remove("h1", "out");
      }
    });
  }, 60_000);

  test("is not asked from a network without a way out", async () => {
    await box("h1", "in", "--network", "closed");
    try {
      expect(await ask(["h1", "in"], "www.test")).toBe("SERVFAIL");
      expect(await ask(["h1", "in"], "in")).toMatch(/^NOERROR \| A /);
    } finally {
      await remove("h1", "in");
    }
  });
});

test("a bridge of one host has names too, and another bridge's are not among them", async () => {
  await lab.docker("h2", "network", "create", "mine");
  await lab.docker("h2", "network", "create", "yours");
  try {
    await box("h2", "aa", "--network", "mine", "--network-alias", "alpha");
    await box("h2", "bb", "--network", "mine");
    await box("h2", "cc", "--network", "yours");
    const a = `NOERROR | A ${await addressOf("h2", "aa", "mine")}`;
    for (const name of ["aa", "alpha", "aa.mine"]) expect(await ask(["h2", "bb"], name)).toBe(a);
    expect(await ask(["h2", "cc"], "aa")).not.toContain("NOERROR");
    await lab.docker("h2", "exec", "bb", "ping", "-c", "1", "-W", "5", "alpha");
  } finally {
    await lab.on("h2", "docker", "rm", "-f", "aa", "bb", "cc");
    await lab.docker("h2", "network", "rm", "mine", "yours");
  }
}, 60_000);

test("a command of the machine resolves in its sandbox, and the machine as before", async () => {
  const here = await lab.ok("h1", "cat", "/etc/resolv.conf");
  const inside = await lab.skein(
    "h1",
    "run",
    "--rm",
    "--network",
    "front",
    "--",
    "cat",
    "/etc/resolv.conf",
  );
  expect(inside).toContain("nameserver 127.0.0.11");
  const found = await lab.skein(
    "h1",
    "run",
    "--rm",
    "--network",
    "front",
    "--",
    "getent",
    "hosts",
    "two",
  );
  expect(found).toContain(await addressOf("h2", "two", "front"));
  expect(await lab.ok("h1", "cat", "/etc/resolv.conf")).toBe(here);
}, 60_000);

test("names go on without a manager, and when the agent has started again", async () => {
  const before = await ask(three, "web");
  await lab.must("kill", "h1", "manager");
  expect(await ask(three, "web")).toBe(before);
  expect(await ask(three, "two")).toMatch(/^NOERROR \| A /);
  await lab.must("kill", "h3", "agent");
  await lab.must("start", "h3");
  await until("it answers again", async () => (await ask(three, "web")) === before);
}, 60_000);

test("a container that comes or goes is known on every host", async () => {
  await until(
    "a manager is back",
    async () => (await lab.on("h1", "docker", "node", "ls")).code === 0,
  );
  await box("h1", "late", "--network", "back");
  const message = question("late.front").toString("hex");
  const times: number[] = [];
  for (let i = 0; i < 5; i++) {
    const askers = await Promise.all(
      ([["h2", "two"], three, one] as const).map(async ([host, container]) => {
        const enter = ["nsenter", "-t", await pidOf(host, container), "-n"];
        return lab.start(host, ...enter, "node", ASK, "until", RESOLVER, message);
      }),
    );
    await until("all ask", () => askers.every((each) => each.output().includes("asking")));
    const startedMs = Date.now();
    await lab.docker("h1", "network", "connect", "front", "late");
    const known = await until("all know it", () => {
      const found = askers.map((each) => /\d{10,}/.exec(each.output())?.[0]);
      return found.every((each) => each !== undefined) && found.map(Number);
    });
    times.push(Math.max(...known) - startedMs);
    await lab.docker("h1", "network", "disconnect", "front", "late");
    await until("it is forgotten", async () => !(await ask(three, "late.front")).includes(" | A "));
  }
  await remove("h1", "late");
  console.log(`known on three hosts ${times.join(", ")} ms after it was asked for`);
}, 60_000);
