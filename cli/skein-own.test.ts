// What only Skein has: attachments, ping, raft status, completion, and the ways to miss the agent.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "vitest";
import { answer, ask } from "./testing/ask.js";
import { type Exchange, FakeAgent } from "./testing/fake-agent.js";
import { run } from "./testing/run.js";
import { allCommands, groups } from "./tree.js";

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

  test("a task is named without its ids", async () => {
    const id = "62yidui6crhs7q9vkuxuzf2a3";
    const body = pingLines(pair("n2", "e2", "n1", "e1", 399, 2)).replace('"web"', `"web.2.${id}"`);
    const result = await ask([answer("POST", path, body)], ["ping", "overnet"]);
    assert.match(result.stdout, /\nweb\.2@h2 10\.0\.1\.3 /);
  });

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

describe("doctor", () => {
  const path = "/skein/v1/doctor?timeout=5000";
  const node = (more: object) => ({
    ID: "n1",
    Hostname: "h1",
    DataPath: { Wish: "auto", Path: "kernel", Why: ["The accelerated data path is not here."] },
    Error: "",
    Findings: [],
    ...more,
  });
  const page = (more: object) => ({
    Node: "h1",
    Network: "",
    Whole: true,
    Note: "",
    Nodes: [],
    Findings: [],
    ...more,
  });
  const finding = {
    Subject: "clock",
    What: "The clock of h2 is 90 s ahead of the leader's.",
    Where: "h2",
    Remedy: "Let both be set by the same time server.",
    Since: new Date(Date.now() - 300_000).toISOString(),
    NetworkID: "",
    By: "leader",
  };

  test("says by node what is wrong, where, since when and what to do, and exits 1", async () => {
    const body = page({
      Nodes: [
        node({}),
        node({ ID: "n2", Hostname: "h2", Findings: [finding] }),
        node({ ID: "n3", Hostname: "h3", DataPath: null, Error: "It is down." }),
      ],
    });
    const { stdout, exit } = await ask([answer("GET", path, body)], ["doctor"]);
    const lines = [
      "h1: data path kernel, --datapath auto",
      "  The accelerated data path is not here.",
      "",
      "h2: data path kernel, --datapath auto",
      "  The accelerated data path is not here.",
      "  ! The clock of h2 is 90 s ahead of the leader's.",
      "      where: h2, for 5 minutes",
      "      do:    Let both be set by the same time server.",
      "",
      "h3: did not answer. It is down.",
      "",
      "1 finding. 1 node did not answer.",
    ];
    assert.equal(stdout, `${lines.join("\n")}\n`);
    assert.equal(exit, 1);
  });

  test("finds nothing where nothing is wrong, and says who was not asked", async () => {
    const note = "This node is a worker and knows of itself alone.";
    const alone = page({ Nodes: [node({})], Whole: false, Note: note });
    const { stdout, exit } = await ask([answer("GET", path, alone)], ["doctor"]);
    assert.match(stdout, /\nNothing is wrong that h1 knows of.\nThis node is a worker/);
    assert.equal(exit, 0);
    const two = page({ Nodes: [node({}), node({ Hostname: "h2" })] });
    const whole = await ask([answer("GET", path, two)], ["doctor"]);
    assert.match(whole.stdout, /\nNothing is wrong that the 2 nodes know of.\n$/);
  });

  test("asks about one network, and answers JSON or a template", async () => {
    const body = page({ Network: "overnet", Findings: [finding] });
    const asked = answer("GET", "/skein/v1/doctor?network=overnet&timeout=1000", body);
    const line = ["doctor", "--timeout", "1s", "overnet"];
    const json = await ask([asked], [...line, "--json"]);
    assert.deepEqual(JSON.parse(json.stdout), body);
    assert.equal(json.exit, 1);
    const format = "{{range .Findings}}{{.Where}}: {{.What}}{{end}}";
    const shown = await ask([asked], [...line, "--format", format]);
    assert.equal(shown.stdout, "h2: The clock of h2 is 90 s ahead of the leader's.\n");
  });
});

describe("swarm status", () => {
  const asked = "/skein/v1/raft?all=true";
  const votes = [
    { Name: "h2", Answer: "refused", Why: "the log is behind: 12 < 17" },
    { Name: "h3", Answer: "none", Why: "" },
  ];
  const raft = {
    State: "running",
    Summary: "There is no leader: 2 of 2 managers must reach each other.",
    Advice: "Start Skein on h2.",
    Notes: ["The disk of h1 is slow."],
    Term: 3,
    LeaderNodeID: "",
    Commit: 17,
    Applied: 16,
    Quorum: { Voters: 2, Needed: 2, Answering: 1 },
    Members: [
      { NodeID: "jgy", Hostname: "h10", Addr: "192.168.33.19:2377", Answers: false, Error: "gone" },
      {
        NodeID: "a8l",
        Hostname: "h2",
        Addr: "192.168.33.11:2377",
        Self: true,
        Answers: true,
        Role: "pre-candidate",
        Term: 3,
        Match: 17,
        Lag: 1,
        LastWrite: new Date(Date.now() - 3_600_000 * 5).toISOString(),
        LastWriteMicroseconds: 1_500,
        DiskMicroseconds: 1_200,
        Elections: [
          {
            PreVote: true,
            Term: 4,
            Began: new Date(Date.now() - 120_000).toISOString(),
            Latest: new Date(Date.now() - 60_000).toISOString(),
            Attempts: 57,
            Outcome: "unanswered",
            Votes: votes,
          },
        ],
      },
    ],
  };

  test("says what is wrong and what to do, then shows the managers by name and their elections", async () => {
    const result = await ask([answer("GET", asked, raft)], ["swarm", "status"]);
    assert.equal(result.exit, 1);
    const lines = result.stdout.split("\n").map((line) => line.replace(/ {2,}/g, " | ").trimEnd());
    assert.deepEqual(lines.slice(0, 9), [
      "There is no leader: 2 of 2 managers must reach each other.",
      "The disk of h1 is slow.",
      "What to do: Start Skein on h2.",
      "",
      "State: | running",
      "Leader: | none",
      "Term: | 3",
      "Needed: | 2 of 2 managers; 1 answer",
      "Committed: | 17, applied 16",
    ]);
    assert.deepEqual(lines.slice(10, 13), [
      "NODE ID | NAME | ADDRESS | ROLE | TERM | MATCH | LAG | LAST WRITE | TOOK | DISK | ANSWERS",
      "a8l * | h2 | 192.168.33.11:2377 | Pre-candidate | 3 | 17 | 1 | 5 h ago | 1.5 ms | 1.2 ms | yes",
      "jgy | h10 | 192.168.33.19:2377 | Voter | no: gone",
    ]);
    assert.match(
      lines[15] ?? "",
      /^h2 \| 4 \| 6\d s ago \| 57 in 60 s \| Consent \| Not won \| h2: no \(the log is behind: 12 < 17\); h3: no answer$/,
    );
  });

  test("is 0 while somebody leads; as JSON and by a template", async () => {
    const led = { ...raft, LeaderNodeID: "a8l" };
    const json = await ask([answer("GET", asked, led)], ["swarm", "status", "--format", "json"]);
    assert.deepEqual([JSON.parse(json.stdout), json.exit], [led, 0]);
    const format = "{{.LeaderNodeID}} {{range .Members}}{{.Hostname}} {{end}}";
    const shown = await ask([answer("GET", asked, led)], ["swarm", "status", "--format", format]);
    assert.equal(shown.stdout, "a8l h10 h2 \n");
  });

  test("of a manager that does not run says so, and no more", async () => {
    const failed = {
      ...raft,
      State: "failed",
      Summary: "It does not run: why.",
      Members: [],
      Notes: [],
    };
    const result = await ask([answer("GET", asked, failed)], ["swarm", "status"]);
    assert.equal(
      result.stdout,
      "It does not run: why.\nWhat to do: Start Skein on h2.\n\nState:    failed\n",
    );
  });
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

describe("node promote", () => {
  const node = (index: number) =>
    answer("GET", "/nodes/h2", {
      ID: "n2",
      Version: { Index: index },
      Spec: { Role: "worker", Availability: "active", Labels: {} },
    });
  const update = (index: number, status: number) =>
    answer(
      "POST",
      `/nodes/n2/update?version=${index}`,
      { message: "rpc error: code = Unknown desc = update out of sequence" },
      status,
    );

  test("of a node that the managers have just written to reads it again", async () => {
    const result = await ask(
      [node(7), update(7, 500), node(8), update(8, 200)],
      ["node", "promote", "h2"],
    );
    assert.equal(result.stderr, "");
    assert.equal(result.stdout, "Node h2 promoted to a manager in the swarm.\n");
  });

  test("of one that is never as it was read says so in the end", async () => {
    const result = await ask([node(7), update(7, 500)], ["node", "promote", "h2"]);
    assert.match(result.stderr, /update out of sequence/);
    assert.equal(result.exit, 1);
  });
});
