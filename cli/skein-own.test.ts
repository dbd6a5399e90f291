// What only Skein has: attachments, ping, raft status, completion, and the ways to miss the agent.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "vitest";
import { type Exchange, FakeAgent } from "./testing/fake-agent.js";
import { type RunOptions, run } from "./testing/run.js";
import { allCommands, groups } from "./tree.js";

function answer(method: string, path: string, body: unknown, status = 200): Exchange {
  return { method, path, status, body: typeof body === "string" ? body : JSON.stringify(body) };
}

async function ask(
  exchanges: readonly Exchange[],
  words: readonly string[],
  options: RunOptions = {},
) {
  const agent = await FakeAgent.start({ exchanges });
  try {
    const result = await run(words, { socket: agent.socketPath, ...options });
    return { ...result, heard: agent.heard };
  } finally {
    await agent.stop();
  }
}

const attachment = {
  ID: "7m2kq0w4r9yb1c3d5e7f9g1h3",
  Name: "h1-overnet",
  Network: "overnet",
  NetworkID: "e6hvltyemt8h0dy51rm2ycdo3",
  Netns: "",
  Interface: "skein0",
  IPv4Address: "10.0.1.2",
  IPv6Address: "",
  MacAddress: "02:42:0a:00:01:02",
  Created: "2026-11-21T03:06:45Z",
  Problem: "",
};

describe("attach", () => {
  const created = answer("POST", "/skein/v1/attachments", attachment, 201);

  test("puts this machine on a network and says where", async () => {
    const result = await ask([created], ["attach", "--network", "overnet"]);
    assert.equal(result.stdout, "This machine is on overnet: 10.0.1.2 on interface skein0\n");
    assert.deepEqual(result.heard[0]?.body, {
      Network: "overnet",
      Netns: "",
      Name: "",
      Interface: "",
      IPv4Address: "",
      IPv6Address: "",
      Aliases: [],
    });
  });

  test("passes on every wish about a namespace", async () => {
    const words =
      "attach --network overnet --netns build --name b --interface eth9 --ip 10.0.1.7 --alias a,c -q";
    const result = await ask([created], words.split(" "));
    assert.equal(result.stdout, "10.0.1.2\n");
    assert.deepEqual(result.heard[0]?.body, {
      Network: "overnet",
      Netns: "build",
      Name: "b",
      Interface: "eth9",
      IPv4Address: "10.0.1.7",
      IPv6Address: "",
      Aliases: ["a", "c"],
    });
  });

  test("without a network or a container says which it wants", async () => {
    const result = await ask([], ["attach"]);
    assert.match(result.stderr, /requires --network NETWORK, or one container to attach to/);
    assert.equal(result.exit, 1);
  });

  test("shows the agent's refusal", async () => {
    const refused = answer(
      "POST",
      "/skein/v1/attachments",
      { message: "network test not manually attachable" },
      403,
    );
    const result = await ask([refused], ["attach", "--network", "test"]);
    assert.equal(
      result.stderr,
      "Error response from daemon: network test not manually attachable\n",
    );
    assert.equal(result.exit, 1);
  });

  test("attachments are listed", async () => {
    const rows = [
      attachment,
      { ...attachment, ID: "zz", Name: "b", Netns: "build", Problem: "namespace is gone" },
    ];
    const result = await ask([answer("GET", "/skein/v1/attachments", rows)], ["attachments"]);
    assert.equal(
      result.stdout,
      "ATTACHMENT ID   NAME         NETWORK   NAMESPACE        INTERFACE   ADDRESS    PROBLEM\n" +
        "7m2kq0w4r9yb    h1-overnet   overnet   (this machine)   skein0      10.0.1.2   \n" +
        "zz              b            overnet   build            skein0      10.0.1.2   namespace is gone\n",
    );
  });

  test("detach says what it took off", async () => {
    const result = await ask(
      [answer("DELETE", "/skein/v1/attachments/overnet", "", 204)],
      ["detach", "overnet"],
    );
    assert.deepEqual([result.stdout, result.exit], ["overnet\n", 0]);
  });
});

const pingLines = (last: object): string =>
  [
    {
      Network: { ID: "n", Name: "overnet" },
      Nodes: [
        { ID: "n1", Hostname: "h1", Addr: "192.168.33.10" },
        { ID: "n2", Hostname: "h2", Addr: "192.168.33.11" },
        { ID: "n3", Hostname: "not-on-it", Addr: "192.168.33.12" },
      ],
      Endpoints: [
        { ID: "e1", Name: "h1", NodeID: "n1", IPv4Address: "10.0.1.2" },
        { ID: "e2", Name: "web", NodeID: "n2", IPv4Address: "10.0.1.3/24" },
      ],
    },
    pair("n1", "", "n2", "", 310),
    pair("n2", "", "n1", "", 12345),
    pair("n1", "e1", "n2", "e2", 420),
    last,
  ]
    .map((line) => JSON.stringify(line))
    .join("\n");

function pair(
  FromNode: string,
  FromEndpoint: string,
  ToNode: string,
  ToEndpoint: string,
  us: number,
  received = 3,
) {
  return {
    FromNode,
    FromEndpoint,
    ToNode,
    ToEndpoint,
    Sent: 3,
    Received: received,
    RttMinUs: us,
    RttAvgUs: us,
    RttMaxUs: us,
    Error: "",
  };
}

describe("ping", () => {
  const path = "/skein/v1/networks/overnet/ping";

  test("shows who hears whom, on the network and under it", async () => {
    const body = pingLines(pair("n2", "e2", "n1", "e1", 399, 2));
    const result = await ask([answer("POST", path, body)], ["ping", "overnet"]);
    assert.equal(
      result.stdout,
      [
        "Network overnet (average round trip in ms)",
        "FROM \\ TO         h1@h1           web@h2",
        "                  10.0.1.2        10.0.1.3",
        "h1@h1 10.0.1.2    -               0.42",
        "web@h2 10.0.1.3   0.40 33% lost   -",
        "",
        "Underlay (average round trip in ms)",
        "FROM \\ TO          h1              h2",
        "                   192.168.33.10   192.168.33.11",
        "h1 192.168.33.10   -               0.31",
        "h2 192.168.33.11   12.3            -",
        "",
      ].join("\n"),
    );
    assert.equal(result.exit, 0);
    assert.deepEqual(result.heard[0]?.body, { Count: 3, TimeoutMs: 1000, SizeBytes: 56 });
  });

  test("exits 1 when a pair heard nothing, and names it", async () => {
    const body = pingLines(pair("n2", "e2", "n1", "e1", 0, 0));
    const result = await ask([answer("POST", path, body)], ["ping", "overnet"]);
    assert.match(result.stdout, /lost\s+-/);
    assert.match(result.stdout, /\nweb@h2 10\.0\.1\.3 → h1@h1 10\.0\.1\.2: none of 3 answered\n$/);
    assert.equal(result.exit, 1);
  });

  test("names a node that told nothing, once", async () => {
    const silent = {
      FromNode: "n2",
      FromEndpoint: "",
      ToNode: "",
      ToEndpoint: "",
      Error: "the node did not report in time",
    };
    const result = await ask([answer("POST", path, pingLines(silent))], ["ping", "overnet"]);
    assert.match(result.stdout, /\n\nh2 192\.168\.33\.11: the node did not report in time\n$/);
    assert.equal(result.exit, 1);
  });

  test("is not content with a pair that was never measured", async () => {
    const body = pingLines(pair("n1", "", "n2", "", 310));
    const result = await ask([answer("POST", path, body)], ["ping", "overnet"]);
    assert.match(result.stdout, /web@h2 10\.0\.1\.3 → h1@h1 10\.0\.1\.2: not measured\n$/);
    assert.equal(result.exit, 1);
  });

  test("an answer that breaks off is an error, not a crash", async () => {
    const agent = await FakeAgent.start({
      custom: (_heard, response) => {
        response.write(`${JSON.stringify({ Network: { Name: "overnet" } })}\n`);
        setImmediate(() => response.destroy());
        return true;
      },
    });
    const result = await run(["ping", "overnet"], { socket: agent.socketPath });
    await agent.stop();
    assert.match(result.stderr, /^The Skein agent closed the connection/);
    assert.equal(result.exit, 1);
  });

  test("prints every result as it comes with --json", async () => {
    const body = pingLines({ ...pair("n2", "e2", "n1", "e1", 0, 0), Error: "no route to host" });
    const result = await ask([answer("POST", path, body)], ["ping", "--json", "overnet"]);
    assert.equal(result.stdout, `${body}\n`);
    assert.equal(result.exit, 1);
  });

  test("draws in place on a terminal", async () => {
    const body = pingLines(pair("n2", "e2", "n1", "e1", 399));
    const options = { terminal: true, columns: 120 };
    const result = await ask([answer("POST", path, body)], ["ping", "overnet"], options);
    assert.ok(result.stdout.includes("\u001b[2K"));
    // Wide enough: one matrix beside the other.
    assert.match(result.stdout, /Network overnet .*Underlay/);
  });
});

test("swarm status shows the group and its leader", async () => {
  const raft = {
    State: "active",
    Message: "",
    RaftID: "1",
    Term: 3,
    LeaderNodeID: "a8l",
    Commit: 17,
    Applied: 17,
    Members: [
      { RaftID: "1", NodeID: "a8l", Addr: "192.168.33.10:2377", Learner: false },
      { RaftID: "2", NodeID: "jgy", Addr: "192.168.33.11:2377", Learner: true },
    ],
  };
  const result = await ask([answer("GET", "/skein/v1/raft", raft)], ["swarm", "status"]);
  assert.equal(
    result.stdout,
    "State:       active\nTerm:        3\nLeader:      a8l\nCommitted:   17\nApplied:     17\n\n" +
      "RAFT ID   NODE ID   ADDRESS              ROLE\n" +
      "1         a8l       192.168.33.10:2377   Leader\n" +
      "2         jgy       192.168.33.11:2377   Learner\n",
  );
});

describe("no agent", () => {
  test("is said as a sentence, with where it was sought", async () => {
    const result = await run(["network", "ls"], {
      env: { SKEIN_HOST: "unix:///nonexistent/s.sock" },
    });
    assert.deepEqual(result, {
      stdout: "",
      stderr:
        "Cannot connect to the Skein agent at unix:///nonexistent/s.sock. Is skein-agent running?\n",
      exit: 1,
    });
  });

  test("--host wins over SKEIN_HOST, and DOCKER_HOST is nobody's", async () => {
    const env = { SKEIN_HOST: "unix:///a.sock", DOCKER_HOST: "unix:///b.sock" };
    const result = await run(["-H", "unix:///c.sock", "ps"], { env });
    assert.match(result.stderr, /unix:\/\/\/c\.sock/);
  });

  test("a file that is no socket is no agent", async () => {
    const folder = mkdtempSync(join(tmpdir(), "skein-cli-"));
    try {
      writeFileSync(join(folder, "s"), "");
      const result = await run(["ps"], { env: { SKEIN_HOST: `unix://${folder}/s` } });
      assert.match(result.stderr, /^Cannot connect to the Skein agent/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("another kind of host is refused", async () => {
    const result = await run(["-H", "tcp://1.2.3.4:1", "ps"]);
    assert.match(result.stderr, /^unable to parse skein host "tcp:\/\/1\.2\.3\.4:1"/);
    assert.equal(result.exit, 1);
  });
});

describe("completion", () => {
  const words = async (typed: readonly string[], exchanges: readonly Exchange[] = []) =>
    (await ask(exchanges, ["__complete", ...typed])).stdout
      .split("\n")
      .map((line) => line.split("\t")[0]);

  test("offers commands", async () => {
    assert.deepEqual(await words(["net"]), ["network", ""]);
    assert.deepEqual(await words(["network", "c"]), ["connect", "create", ""]);
  });

  test("offers flags and their values", async () => {
    assert.deepEqual(await words(["network", "create", "--att"]), ["--attachable", ""]);
    assert.deepEqual(await words(["node", "update", "--role", "m"]), ["manager", ""]);
    assert.deepEqual(await words(["node", "update", "--role=m"]), ["--role=manager", ""]);
    assert.deepEqual(await words(["swarm", "join-token", ""]), ["worker", "manager", ""]);
  });

  test("offers the networks that there are", async () => {
    const networks = answer("GET", "/networks", [
      { Name: "overnet", Driver: "overlay" },
      { Name: "other" },
    ]);
    assert.deepEqual(await words(["network", "rm", "ov"], [networks]), ["overnet", ""]);
    assert.deepEqual(await words(["run", "--network", ""], [networks]), ["overnet", "other", ""]);
  });

  test("offers nothing where nobody answers", async () => {
    assert.deepEqual(await words(["network", "rm", ""]), [""]);
  });

  for (const shell of ["bash", "zsh", "fish"]) {
    test(`has a script for ${shell}`, async () => {
      const result = await run(["completion", shell]);
      assert.match(result.stdout, /__complete/);
    });
  }

  // What the shell has parted, what skein is asked, what it answers, what the shell is to put in.
  const inBash = [
    { parts: ["skein", "net"], asked: "net", answer: "network\tManage", reply: "network" },
    { parts: ["skein", "rm", ""], asked: "rm ", answer: "web\tUp", reply: "web" },
    { parts: ["skein", "x", "--a", "="], asked: "x --a=", answer: "--a=b", reply: "b" },
    { parts: ["skein", "x", "--a", "=", "b"], asked: "x --a=b", answer: "--a=bc", reply: "bc" },
    {
      parts: ["skein", "-H", "unix", ":", "//s", "n"],
      asked: "-H unix://s n",
      answer: "n1",
      reply: "n1",
    },
  ];
  for (const { parts, asked, answer, reply } of inBash) {
    test(`in bash asks for "${asked}"`, async () => {
      const script = `
        compopt() { :; }
        skein() { printf '%s' "$2\${3+ $3}\${4+ $4}" >&3; echo "$ANSWER"; }
        eval "$COMPLETION"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
        _skein 2>/dev/null; echo; printf '%s\\n' "\${COMPREPLY[@]}"`;
      const { stdout: completion } = await run(["completion", "bash"]);
      const env = { ...process.env, COMPLETION: completion, ANSWER: answer };
      const bash = spawnSync("bash", ["-c", `{ ${script}\n} 3>&1`, "bash", ...parts], {
        env,
        encoding: "utf8",
      });
      assert.deepEqual(bash.stdout.split("\n"), [asked, reply, ""]);
    });
  }
});

describe("help", () => {
  for (const command of [...allCommands, ...groups]) {
    test(`skein ${command.path} --help shows its usage`, async () => {
      const result = await run([...command.path.split(" "), "--help"]);
      assert.ok(result.stdout.startsWith(`Usage:  skein ${command.path}`));
      assert.equal(result.exit, 0);
      // The one place with long words is the type column of the widest flag.
      const lines = result.stdout.split("\n");
      assert.deepEqual(
        lines.filter((line) => line.length > 100 && !line.includes("skein container")),
        [],
      );
    });
  }

  test("skein alone shows every command", async () => {
    const { stdout } = await run([]);
    for (const command of allCommands.filter((one) => !one.path.includes(" "))) {
      assert.ok(stdout.includes(`\n  ${command.path} `), command.path);
    }
  });
});
