// identity/: the node's private key, its certificate chain and the swarm's root, PEM, mode 0600. A
// renewal keeps the key and replaces the certificate, so that any mix of old and new files is usable.
import { createPrivateKey, X509Certificate } from "node:crypto";
import { join } from "node:path";
import {
  ensureFolder,
  readIfThere,
  removeDurably,
  replaceFile,
} from "../../common/durable-files.js";
import { Fault } from "../../common/fault.js";
import type { IdentityDisk, NodeIdentity } from "../seams.js";

export function identityDiskAt(stateDir: string): IdentityDisk {
  const folder = join(stateDir, "identity");
  const file = { key: "key.pem", certificate: "cert.pem", root: "root.pem" };
  return {
    async load() {
      const read = (name: string) => readIfThere(join(folder, name));
      const [key, certificate, root] = await Promise.all([
        read(file.key),
        read(file.certificate),
        read(file.root),
      ]);
      if (key === undefined || certificate === undefined || root === undefined) return undefined;
      const identity = { key, certificate, root };
      const problem = problemOf(identity);
      if (problem !== undefined)
        throw new Fault("STATE_DAMAGED", { file: folder }, new Error(problem));
      return identity;
    },
    async save(identity) {
      await ensureFolder(folder, 0o700);
      await replaceFile(join(folder, file.root), identity.root);
      await replaceFile(join(folder, file.key), identity.key);
      await replaceFile(join(folder, file.certificate), identity.certificate);
    },
    clear: () => removeDurably(folder),
  };
}

function problemOf(identity: NodeIdentity): string | undefined {
  try {
    const root = new X509Certificate(identity.root);
    const leaf = new X509Certificate(identity.certificate);
    const key = createPrivateKey(Buffer.from(identity.key));
    if (!leaf.checkPrivateKey(key)) return "the key is not the certificate's";
    // A flipped bit may well leave a certificate that can be read; nobody would take it.
    const signed = root.verify(root.publicKey) && leaf.verify(root.publicKey);
    return signed ? undefined : "a signature in it does not verify";
  } catch {
    return "a file in it is not PEM";
  }
}
