import { beforeAll, expect, test } from "vitest";
import { readCertificate, spkiDigest } from "../../common/certificates.js";
import { isRefusal } from "../../common/fault.js";
import { Cluster, Node } from "../../proto/gen/types.js";
import { nodeCertificate } from "../../test/fakes/node-certificate.js";
import { type ExpiredProof, proveByKey } from "./expired.js";

const DAY_MS = 86_400_000;
const END_MS = Date.UTC(2026, 0, 1);
const times = { notBeforeMs: END_MS - 90 * DAY_MS, notAfterMs: END_MS };

let proof: ExpiredProof;
let other: ExpiredProof;
let cluster: Cluster;
let node: Node;
beforeAll(async () => {
  const made = await nodeCertificate({ nodeId: "n", role: "worker", ...times });
  const another = await nodeCertificate({ nodeId: "n", role: "worker", ...times });
  const of = ({ certificate }: { certificate: Uint8Array }) => ({
    chain: certificate,
    publicKeyDigest: readCertificate(certificate)?.publicKeyDigest ?? Buffer.alloc(0),
  });
  [proof, other] = [of(made), of(another)];
  // Issued by itself, which is root enough; its O is "cluster".
  const rootCaCert = Buffer.concat([made.certificate, another.certificate]);
  cluster = Cluster.fromPartial({ id: "cluster", rootCaCert, spec: {} });
  node = Node.fromPartial({ id: "n", publicKeyDigest: proof.publicKeyDigest as Buffer });
});

interface Asked {
  readonly lateMs?: number;
  readonly policyMs?: number;
  readonly removed?: boolean;
  readonly proof?: ExpiredProof;
  readonly clusterId?: string;
  readonly roots?: string;
}
function ask({ lateMs = DAY_MS, policyMs, removed, ...rest }: Asked): string {
  const spec = policyMs === undefined ? {} : { expiredRenewalMs: policyMs };
  const of = Cluster.fromPartial({
    ...cluster,
    id: rest.clusterId ?? cluster.id,
    ...(rest.roots !== undefined && { rootCaCert: Buffer.from(rest.roots) }),
    spec,
    removed: removed ? [{ nodeId: "n", untilMs: END_MS }] : [],
  });
  const known = (id: string) => (id === "n" ? node : undefined);
  const answer = proveByKey(of, known, rest.proof ?? proof, END_MS + lateMs);
  if (isRefusal(answer)) return `${answer.code}: ${answer.message}`;
  return `${answer.nodeId}${answer.isExpired ? " late" : ""}`;
}

test("whoever holds the key of a certificate that is over is still the node it names, for 30 days", () => {
  expect(ask({})).toBe("n late");
  expect(ask({ lateMs: 30 * DAY_MS })).toBe("n late");
  expect(ask({ lateMs: 31 * DAY_MS })).toMatch(/permission-denied: .*over for 31 days.*30 days/);
});

test("one that is not over by the leader's clock is as good, and nothing special", () => {
  expect(ask({ lateMs: -600_000 })).toBe("n");
});

test("the policy says how long, and 0 is never", () => {
  expect(ask({ lateMs: 2 * DAY_MS, policyMs: DAY_MS })).toMatch(/permission-denied/);
  expect(ask({ lateMs: 60 * DAY_MS, policyMs: 90 * DAY_MS })).toBe("n late");
  expect(ask({ lateMs: 1, policyMs: 0 })).toMatch(/renews none that is over/);
});

test("a removed node never", () => {
  expect(ask({ removed: true })).toMatch(/permission-denied: node n was removed/);
});

test("the key must be the certificate's, and still the node's", () => {
  const stolen = { chain: proof.chain, publicKeyDigest: spkiDigest(Buffer.from("another")) };
  expect(ask({ proof: stolen })).toMatch(/of another key than the request's/);
  expect(ask({ proof: other })).toMatch(/a key that the node has not any more/);
});

test("another swarm's, another root's and what is none are refused", () => {
  expect(ask({ clusterId: "else" })).toMatch(/not of this swarm's root/);
  expect(ask({ roots: "" })).toMatch(/not of this swarm's root/);
  const junk = { ...proof, chain: Buffer.from("junk") };
  expect(ask({ proof: junk })).toMatch(/none of a node's/);
  const huge = { ...proof, chain: Buffer.alloc(1 << 20) };
  expect(ask({ proof: huge })).toMatch(/none of a node's/);
});
