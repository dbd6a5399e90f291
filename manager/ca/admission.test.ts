import { describe, expect, test } from "vitest";
import { Batch } from "../../proto/gen/store.js";
import { Cluster, Node, Role } from "../../proto/gen/types.js";
import { Store } from "../store/store.js";
import { admit, admitStep } from "./admission.js";

const NOW_MS = 1_000_000;
const store = new Store();
const made = store.draft((draft) => {
  draft.attempt(NOW_MS, (inner) => {
    const { WORKER, MANAGER } = Role;
    inner.create("cluster", Cluster.fromPartial({ id: "c", removedNodes: ["gone"] }));
    const nodes = [
      { id: "w", spec: { role: WORKER }, role: WORKER },
      { id: "m", spec: { role: MANAGER }, role: MANAGER },
      { id: "ex", spec: { role: WORKER }, role: WORKER },
    ];
    for (const [index, node] of nodes.entries()) {
      const publicKeyDigest = Buffer.from([index]);
      inner.create("node", Node.fromPartial({ ...node, publicKeyDigest }));
    }
  });
  return [...draft.transactions];
});
store.apply(1, Batch.encode({ transactions: made }).finish());

/** With a certificate from before the nodes were as they are in the store. */
const peer = (nodeId: string, role: Role, clusterId = "c") => ({
  nodeId,
  role,
  clusterId,
  issuedMs: NOW_MS - 5_000,
});
const ISSUE = "/skein.v1.CertificateAuthority/IssueCertificate";
const LIST = "/skein.v1.Control/ListNodes";
const SESSION = "/skein.v1.Dispatcher/Session";
const STEP = "/skein.v1.Raft/Step";
const JOIN = "/skein.v1.Raft/Join";

describe("port 2377 opens", () => {
  const { WORKER, MANAGER } = Role;
  const cases = [
    { who: undefined, to: { [ISSUE]: true, [LIST]: false, [SESSION]: false, [STEP]: false } },
    {
      who: peer("w", WORKER),
      to: { [ISSUE]: true, [LIST]: false, [SESSION]: true, [STEP]: false },
    },
    { who: peer("m", MANAGER), to: { [LIST]: true, [SESSION]: true, [STEP]: true, [JOIN]: true } },
    {
      who: peer("gone", MANAGER),
      to: { [ISSUE]: true, [LIST]: false, [STEP]: false, [JOIN]: false },
    },
    // Demoted, with the certificate of before.
    {
      who: peer("ex", MANAGER),
      to: { [LIST]: false, [SESSION]: true, [STEP]: false, [JOIN]: true },
    },
    // Joined a moment ago, as far as another manager knows.
    { who: peer("new", MANAGER), to: { [LIST]: false, [STEP]: true, [JOIN]: true } },
    {
      who: peer("m", MANAGER, "other swarm"),
      to: { [LIST]: false, [SESSION]: false, [STEP]: false },
    },
  ];
  for (const { who, to } of cases) {
    for (const [path, open] of Object.entries(to)) {
      const name = who ? `${who.nodeId} of ${who.clusterId}, role ${who.role}` : "nobody";
      test(`${open ? "for" : "not for"} ${name}: ${path}`, () => {
        expect(admit(path, who, "c", store.view) === undefined).toBe(open);
      });
    }
  }
  test("for any manager of the swarm while it knows nothing itself", () => {
    expect(admit(STEP, peer("x", MANAGER), "c", undefined)).toBeUndefined();
    expect(admit(LIST, peer("x", WORKER), "c", undefined)?.code).toBe("permission-denied");
  });
});

test("raft messages come from the node that holds the raft id, or from one not known yet", () => {
  const { WORKER, MANAGER } = Role;
  expect(admitStep(peer("m", MANAGER), "m", store.view, false)).toBe(true);
  expect(admitStep(peer("m", MANAGER), "another", store.view, false)).toMatch(/another node/);
  expect(admitStep(peer("w", WORKER), "w", store.view, false)).toMatch(/only managers/);
  expect(admitStep(peer("new", MANAGER), undefined, store.view, false)).toBe(true);
  expect(admitStep(peer("ex", MANAGER), undefined, store.view, false)).toMatch(/not a manager/);
  // Removed while it was away, and wanted again: only who leads can be sure, and must say so.
  expect(admitStep(peer("m", MANAGER), undefined, store.view, true)).toMatch(/no seat/);
  expect(admitStep(peer("m", MANAGER), "m", store.view, true)).toBe(true);
});

test("raft messages of a worker whose certificate is newer than what is known of it are a manager's", () => {
  const promoted = { ...peer("ex", Role.MANAGER), issuedMs: NOW_MS + 2_000 };
  expect(admit(STEP, promoted, "c", store.view)).toBeUndefined();
  expect(admit(LIST, promoted, "c", store.view)?.code).toBe("permission-denied");
  expect(admitStep(promoted, undefined, store.view, false)).toBe(true);
  expect(admitStep(promoted, undefined, store.view, true)).toMatch(/no seat/);
  const out = { ...promoted, nodeId: "gone" };
  for (const leads of [false, true]) {
    expect(admitStep(out, undefined, store.view, leads)).toMatch(/was removed from the swarm/);
  }
  expect(admit(STEP, out, "c", store.view)?.code).toBe("permission-denied");
});
