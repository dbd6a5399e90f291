// GET /skein/v1/doctor, as a client sees it: a manager's answer is the swarm's, anybody else's is its own.
import { afterAll, beforeAll, expect, test } from "vitest";
import { Finding, NodeCheck } from "../../proto/gen/control.js";
import { type ApiHost, type ApiLab, apiLab } from "./api-lab.js";

const PATH = "/skein/v1/doctor";
const OWN = {
  ...{ subject: "port 80/tcp", what: "Port 80/tcp is taken.", where: "port 80/tcp" },
  ...{ remedy: "Stop that program.", sinceMs: 1_700_000_000_000 },
};
let lab: ApiLab;
let h1: ApiHost;

beforeAll(async () => {
  lab = await apiLab();
  h1 = lab.hosts.h1;
  h1.node.found = [OWN];
});
afterAll(() => lab.close());

test("a node in no swarm tells of itself, and says so", async () => {
  const { status, json } = await h1.http("GET", PATH);
  expect([status, json]).toMatchObject([
    200,
    {
      Whole: false,
      Note: "This node is in no swarm.",
      Nodes: [
        {
          Error: "",
          DataPath: { Wish: "auto", Path: "kernel", Why: [] },
          Findings: [{ What: OWN.what, By: "node", Since: "2023-11-14T22:13:20Z" }],
        },
      ],
      Findings: [],
    },
  ]);
});

test("a manager has every node's, the leader's beside them, and names who did not answer", async () => {
  await h1.docker(["swarm", "init", "--advertise-addr", "192.168.133.1"]);
  const ofSwarm = Finding.fromPartial({ subject: "quorum", what: "There are two managers." });
  const down = Finding.fromPartial({ subject: "down", what: "h9 is down." });
  const { swarm } = h1.node;
  if (swarm === undefined) throw new Error("no swarm");
  swarm.checkResults = [
    NodeCheck.fromPartial({ findings: [ofSwarm], fromLeader: true }),
    // What this node says by way of the leader is what it says here.
    NodeCheck.fromPartial({ nodeId: h1.node.nodeId, findings: [down] }),
    NodeCheck.fromPartial({ nodeId: "n9", findings: [down], fromLeader: true }),
    NodeCheck.fromPartial({ nodeId: "n9", error: "It is down." }),
  ];
  const { json } = await h1.http("GET", PATH);
  expect(json).toMatchObject({
    Whole: true,
    Note: "",
    Nodes: [
      { ID: h1.node.nodeId, Findings: [{ What: OWN.what, By: "node" }] },
      { ID: "n9", Error: "It is down.", DataPath: null, Findings: [{ By: "leader" }] },
    ],
    Findings: [{ What: ofSwarm.what, By: "leader" }],
  });
  expect((await h1.http("GET", `${PATH}?network=none-such`)).status).toBe(404);
  expect((await h1.http("GET", `${PATH}?timeout=0`)).status).toBe(400);
});
