import { createPrivateKey, X509Certificate } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { nodeCertificate } from "../../test/fakes/node-certificate.js";
import { identityDiskAt } from "./identity-files.js";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "skein-identity-"));
});
afterEach(() => rm(folder, { recursive: true }));

function pem(der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}

test("an identity comes back as it was saved; with any one byte of its certificate changed it is damaged", async () => {
  const made = await nodeCertificate({
    nodeId: "n1",
    role: "worker",
    notBeforeMs: Date.now(),
    notAfterMs: Date.now() + 1e9,
  });
  const { key } = made;
  const disk = identityDiskAt(folder);
  expect(await disk.load()).toBeUndefined();
  const identity = { key, certificate: made.certificate, root: made.certificate };
  await disk.save(identity);
  expect(await disk.load()).toEqual(identity);
  const { raw } = new X509Certificate(made.certificate);
  for (let at = 0; at < raw.length; at++) {
    const damaged = Buffer.from(raw);
    damaged[at] = (damaged[at] ?? 0) ^ 0x04;
    await writeFile(join(folder, "identity", "cert.pem"), pem(damaged));
    await expect(disk.load(), `byte ${at}`).rejects.toMatchObject({ code: "STATE_DAMAGED" });
  }
});

test("a sealed key opens with its unlock key alone, keeps its seal when the certificate is renewed, and is opened again", async () => {
  const at = { notBeforeMs: Date.now(), notAfterMs: Date.now() + 1e9 };
  const made = await nodeCertificate({ nodeId: "n1", role: "manager", ...at });
  const identity = { key: made.key, certificate: made.certificate, root: made.certificate };
  const [one, two] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
  const text = () => readFile(join(folder, "identity", "key.pem"), "utf8");
  const disk = identityDiskAt(folder);
  await disk.save(identity);
  expect(await text()).toMatch(/^Sealed-By: node-key\n-----BEGIN ENCRYPTED PRIVATE KEY-----/);
  await disk.sealWith(one);
  await disk.sealWith(two);
  await disk.save(identity);
  expect(await text()).toMatch(/^Sealed-By: unlock-key\n-----BEGIN ENCRYPTED PRIVATE KEY-----/);
  // Nothing beside it opens it.
  expect((await readdir(join(folder, "identity"))).sort()).toEqual([
    "cert.pem",
    "key.pem",
    "root.pem",
  ]);

  const later = identityDiskAt(folder);
  const { certificate, root } = identity;
  expect(await later.load()).toEqual({ sealed: true, certificate, root });
  expect(await later.unseal(one)).toBeUndefined();
  await expect(later.sealWith(undefined)).rejects.toMatchObject({ code: "IDENTITY_LOCKED" });
  const opened = await later.unseal(two);
  expect(opened && createPrivateKey(Buffer.from(opened.key))).toEqual(
    createPrivateKey(Buffer.from(identity.key)),
  );
  await later.sealWith(undefined);
  expect(await text()).toMatch(/^Sealed-By: node-key\n/);
  expect(await identityDiskAt(folder).load()).toEqual(identity);
});

test("at every moment of a change the key opens with what sealed it before, or with what seals it now", async () => {
  const at = { notBeforeMs: Date.now(), notAfterMs: Date.now() + 1e9 };
  const made = await nodeCertificate({ nodeId: "n1", role: "manager", ...at });
  const identity = { key: made.key, certificate: made.certificate, root: made.certificate };
  const unlockKey = Buffer.alloc(32, 1);
  const file = (name: string) => join(folder, "identity", name);
  const disk = identityDiskAt(folder);
  await disk.save(identity);
  const open = { key: await readFile(file("key.pem")), nodeKey: await readFile(file("node-key")) };
  await disk.sealWith(unlockKey);
  // Before node-key went.
  await writeFile(file("node-key"), open.nodeKey);
  expect(await identityDiskAt(folder).load()).toMatchObject({ sealed: true });
  expect(await identityDiskAt(folder).unseal(unlockKey)).toEqual(identity);
  // After a new node-key came, before it was used.
  await writeFile(file("node-key"), "another\n");
  expect(await identityDiskAt(folder).unseal(unlockKey)).toEqual(identity);
  // Never: the one without the other.
  await writeFile(file("key.pem"), open.key);
  await expect(identityDiskAt(folder).load()).rejects.toMatchObject({ code: "STATE_DAMAGED" });
});

test("the open key of an earlier release is read, and sealed when it is next saved", async () => {
  const at = { notBeforeMs: Date.now(), notAfterMs: Date.now() + 1e9 };
  const made = await nodeCertificate({ nodeId: "n1", role: "worker", ...at });
  const identity = { key: made.key, certificate: made.certificate, root: made.certificate };
  const disk = identityDiskAt(folder);
  await disk.save(identity);
  await writeFile(join(folder, "identity", "key.pem"), identity.key);
  await rm(join(folder, "identity", "node-key"));
  expect(await identityDiskAt(folder).load()).toEqual(identity);
  await disk.save(identity);
  expect(await readFile(join(folder, "identity", "key.pem"), "utf8")).toContain("ENCRYPTED");
});

test("a change that did not come to the disk is made when it is asked for again", async () => {
  const at = { notBeforeMs: Date.now(), notAfterMs: Date.now() + 1e9 };
  const made = await nodeCertificate({ nodeId: "n1", role: "manager", ...at });
  const [one, two] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
  const disk = identityDiskAt(folder);
  await disk.save({ key: made.key, certificate: made.certificate, root: made.certificate });
  await disk.sealWith(one);
  // What stands in the way of a file is one's own: root is refused nothing.
  const inTheWay = join(folder, "identity", "key.pem.tmp");
  await mkdir(inTheWay);
  await expect(disk.sealWith(two)).rejects.toMatchObject({ code: "FILE_WRITE" });
  expect(await identityDiskAt(folder).unseal(one)).toBeDefined();
  await rm(inTheWay, { recursive: true });
  await disk.sealWith(two);
  expect(await identityDiskAt(folder).unseal(two)).toBeDefined();
});

test("a key that the manager process had is taken if it is the certificate's", async () => {
  const at = { notBeforeMs: Date.now(), notAfterMs: Date.now() + 1e9 };
  const made = await nodeCertificate({ nodeId: "n1", role: "manager", ...at });
  const other = await nodeCertificate({ nodeId: "n1", role: "manager", ...at });
  const identity = { key: made.key, certificate: made.certificate, root: made.certificate };
  const [old, now] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
  const before = identityDiskAt(folder);
  await before.save(identity);
  await before.sealWith(old);
  const disk = identityDiskAt(folder);
  expect(await disk.replaceKey(other.key, now)).toBeUndefined();
  expect(await disk.replaceKey(new Uint8Array(), now)).toBeUndefined();
  expect(await disk.replaceKey(identity.key, now)).toEqual(identity);
  expect(await identityDiskAt(folder).unseal(old)).toBeUndefined();
  expect(await identityDiskAt(folder).unseal(now)).toBeDefined();
});
