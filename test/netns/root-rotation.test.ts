// Three managers move to another root while frames flow; and one comes back with a certificate that is over.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { identityDiskAt } from "../../agent/disk/identity-files.js";
import { newNodeKey, readCertificate } from "../../common/certificates.js";
import { createCsr } from "../../common/csr.js";
import { orThrow } from "../../common/fault.js";
import { systemRandom } from "../../common/random.js";
import { checkCsr, issueLeaf } from "../../manager/certs/authority.js";
import { createRoot } from "../../manager/certs/roots.js";
import type { RootCa } from "../../manager/seams.js";
import { Lab, until } from "./lab.js";
import { getJson } from "./local-api.js";

const DAY_MS = 86_400_000;
let lab: Lab;
let root: RootCa;
let ping: ReturnType<Lab["start"]>;

beforeAll(async () => {
  lab = await Lab.up("roots", 3);
  await lab.swarm("manager");
  await lab.overnet("h1", "h2");
  root = await createRoot(newNodeKey(), Date.now(), systemRandom);
  ping = lab.start("h1", "ping", "-i", "0.05", "10.0.1.3");
  await until("pings come back", () => ping.output().split("\n").length > 5);
});
afterAll(() => lab?.down());

/** The key that has signed each node's certificate. */
async function issuers(): Promise<readonly string[]> {
  const format = "{{.Description.TLSInfo.CertIssuerPublicKey}}";
  return (await lab.skein("h1", "node", "inspect", "--format", format, "h1", "h2", "h3")).split(
    "\n",
  );
}

test("a rotation to one's own root waits for the node that is off, and ends when it is back", async () => {
  const file = (name: string) => join(lab.folder("h1"), name);
  writeFileSync(file("ca.pem"), root.certificate);
  writeFileSync(file("ca.key"), root.privateKey, { mode: 0o600 });
  const token = await lab.token("h1", "worker");
  const [before] = await issuers();
  await lab.must("stop", "h3");
  const own = ["--ca-cert", file("ca.pem"), "--ca-key", file("ca.key")];
  await lab.skein("h2", "swarm", "ca", "--rotate", "--detach", ...own);
  await until("those that are there have moved", async () => {
    const [one, two, three] = await issuers();
    return one !== before && one === two && three === before;
  });
  expect(await lab.token("h1", "worker")).toBe(token);
  await lab.must("start", "h3");
  const printed = () => lab.skein("h2", "swarm", "ca");
  const wanted = root.certificate.toString().trim();
  await until("the new root is the only one", async () => (await printed()) === wanted);
  expect(new Set(await issuers()).size).toBe(1);
  expect(await lab.token("h1", "worker")).not.toBe(token);
});

/** What the node has becomes one that is over for days; its agent and manager are stopped. */
async function outlive(host: string, endedMs: number): Promise<void> {
  const facts = readCertificate(readFileSync(certificateOf(host)));
  if (facts === undefined) throw new Error(`${host} has a certificate`);
  const identity = await identityDiskAt(join(lab.folder(host), "state")).load();
  if (identity === undefined || "sealed" in identity) throw new Error(`the key of ${host} is open`);
  const csr = orThrow(await checkCsr(await createCsr(identity.key)));
  await lab.must("stop", host);
  const over = await issueLeaf(root, csr, { ...facts, lifeMs: 0 }, endedMs, systemRandom);
  writeFileSync(certificateOf(host), over);
}

function certificateOf(host: string): string {
  return join(lab.folder(host), "state", "identity", "cert.pem");
}

async function renewed(...hosts: readonly string[]): Promise<void> {
  for (const host of hosts) {
    await until(`${host} has another`, () => {
      const now = readCertificate(readFileSync(certificateOf(host)));
      return now !== undefined && now.notAfterMs > Date.now();
    });
  }
}

test("a node that was off past its certificate's end comes back by its key, and it is seen", async () => {
  const endedMs = Date.now() - 5 * DAY_MS;
  await outlive("h3", endedMs);
  await lab.must("start", "h3");
  await renewed("h3");
  const shown = JSON.parse(await lab.skein("h1", "node", "inspect", "h3"));
  expect(Date.parse(shown[0].ExpiredRenewal.ExpiredAt)).toBeCloseTo(endedMs, -4);
  expect(Math.abs(shown[0].ClockSkewMs ?? 0)).toBeLessThan(10_000);
});

test("all that were off past their certificates' ends come back by their keys, with the seats and logs they had", async () => {
  const seats = async () => {
    const { Members } = await getJson<{ Members: readonly { RaftID: string; NodeID: string }[] }>(
      lab.socket("h2"),
      "/skein/v1/raft",
    );
    return Members.map(({ RaftID, NodeID }) => `${NodeID} ${RaftID}`).sort();
  };
  const before = await seats();
  for (const { name } of lab.hosts) await outlive(name, Date.now() - 5 * DAY_MS);
  // One after the other: who comes later asks those that have their new ones, with one that is over.
  for (const { name } of lab.hosts) await lab.must("start", name);
  await renewed("h1", "h2", "h3");
  await until("all answer", async () => (await issuers()).length === 3);
  const states = () => lab.skein("h2", "node", "ls", "--format", "{{.Status}}{{.ManagerStatus}}");
  await until("all managers are reachable", async () => !/Down|Unr|Unk/.test(await states()));
  expect(await seats()).toEqual(before);
});

test("docker's own client follows a rotation to its end, and no frame was lost in all that", async () => {
  const printed = await lab.docker("h1", "swarm", "ca", "--rotate");
  expect(printed).toMatch(/^desired root digest: /);
  expect(printed).toContain(await lab.skein("h3", "swarm", "ca"));
  expect(printed).not.toContain(root.certificate.toString().trim());
  expect(await ping.stop("SIGINT")).toMatch(/ 0% packet loss/);
});

test("one that begins while a manager becomes a worker waits for little more than that", async () => {
  await lab.skein("h1", "node", "demote", "h3");
  const token = await lab.token("h1", "worker");
  await lab.skein("h1", "swarm", "ca", "--rotate", "--detach");
  const isOver = async () => (await lab.token("h1", "worker")) !== token;
  await until("it is over", isOver, 5_000);
});
