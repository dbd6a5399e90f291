// identity/: the node's private key, its certificate chain and the swarm's root, PEM, mode 0600. A
// renewal keeps the key and replaces the certificate, so that any mix of old and new files is usable.
//
// key.pem is encrypted as PKCS #8 has it (RFC 5958 section 3), which any tool opens that is given the pass
// phrase. A line before it (RFC 7468 section 2 lets text stand there) says whose that is: on a manager of an
// autolocked swarm the swarm's unlock key; else `node-key`, a file beside it, so that key.pem alone tells nothing.
// key.pem is replaced whole, after node-key is there and before it goes.
import { createPrivateKey, randomBytes, X509Certificate } from "node:crypto";
import { join } from "node:path";
import { isIssuedBy, splitPem } from "../../common/certificates.js";
import {
  ensureFolder,
  readIfThere,
  removeDurably,
  replaceFile,
} from "../../common/durable-files.js";
import { Fault } from "../../common/fault.js";
import { formatUnlockKey, sameKey } from "../../common/unlock-key.js";
import type { IdentityDisk, NodeIdentity } from "../seams.js";

const FILE = { key: "key.pem", certificate: "cert.pem", root: "root.pem", nodeKey: "node-key" };
const BY_UNLOCK_KEY = "Sealed-By: unlock-key\n";
const BY_NODE_KEY = "Sealed-By: node-key\n";
// AES-256.
const NODE_KEY_BYTES = 32;
// RFC 8018 section 6.2; what OpenSSL writes PKCS #8 with, and Docker its managers' keys.
const SEALED_BY = "aes-256-cbc";

export function identityDiskAt(stateDir: string): IdentityDisk {
  const folder = join(stateDir, "identity");
  return new IdentityFiles(folder);
}

class IdentityFiles implements IdentityDisk {
  #unlockKey: Uint8Array | undefined;
  /** Writes to key.pem, one after the other. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(private readonly folder: string) {}

  async load() {
    const stored = await this.#read();
    if (stored === undefined) return undefined;
    const { certificate, root } = stored;
    if (isSealed(stored.key)) return { sealed: true, certificate, root } as const;
    // Of an earlier release it is open; what does not open is found to be none.
    const identity = { ...stored, key: (await this.#openedHere(stored.key)) ?? stored.key };
    this.#mustBeSound(identity);
    return identity;
  }

  async unseal(unlockKey: Uint8Array) {
    const identity = await this.#read();
    const key = identity && opened(identity.key, formatUnlockKey(unlockKey));
    if (identity === undefined || key === undefined) return undefined;
    this.#mustBeSound({ ...identity, key });
    this.#unlockKey = unlockKey;
    return { ...identity, key };
  }

  async replaceKey(key: Uint8Array, unlockKey: Uint8Array) {
    const stored = await this.#read();
    const identity = stored && { ...stored, key };
    if (identity === undefined || problemOf(identity) !== undefined) return undefined;
    const by = unlockKey.length === 0 ? undefined : unlockKey;
    await this.#inTurn(() => this.#saveKey(key, by));
    return identity;
  }

  save(identity: NodeIdentity): Promise<void> {
    return this.#inTurn(async () => {
      await ensureFolder(this.folder, 0o700);
      await replaceFile(join(this.folder, FILE.root), identity.root);
      await this.#saveKey(identity.key, this.#unlockKey);
      await replaceFile(join(this.folder, FILE.certificate), identity.certificate);
    });
  }

  sealWith(unlockKey: Uint8Array | undefined): Promise<void> {
    return this.#inTurn(async () => {
      const before = this.#unlockKey;
      const stored = await readIfThere(join(this.folder, FILE.key));
      if (stored === undefined) return;
      if (isSealed(stored) === (unlockKey !== undefined) && isSame(unlockKey, before)) return;
      const key = isSealed(stored)
        ? before && opened(stored, formatUnlockKey(before))
        : ((await this.#openedHere(stored)) ?? stored);
      if (key === undefined) throw new Fault("IDENTITY_LOCKED", { file: this.folder });
      await this.#saveKey(key, unlockKey);
    });
  }

  clear(): Promise<void> {
    return this.#inTurn(async () => {
      this.#unlockKey = undefined;
      await removeDurably(this.folder);
    });
  }

  async #read(): Promise<NodeIdentity | undefined> {
    const read = (name: string) => readIfThere(join(this.folder, name));
    const [key, certificate, root] = await Promise.all([
      read(FILE.key),
      read(FILE.certificate),
      read(FILE.root),
    ]);
    if (key === undefined || certificate === undefined || root === undefined) return undefined;
    return { key, certificate, root };
  }

  async #saveKey(key: Uint8Array, unlockKey: Uint8Array | undefined): Promise<void> {
    const path = join(this.folder, FILE.key);
    if (unlockKey === undefined) {
      const nodeKey = (await this.#nodeKey()) ?? (await this.#makeNodeKey());
      await replaceFile(path, sealed(key, BY_NODE_KEY, nodeKey));
      this.#unlockKey = undefined;
      return;
    }
    await replaceFile(path, sealed(key, BY_UNLOCK_KEY, formatUnlockKey(unlockKey)));
    this.#unlockKey = unlockKey;
    await removeDurably(join(this.folder, FILE.nodeKey));
  }

  async #openedHere(key: Uint8Array): Promise<Uint8Array | undefined> {
    const nodeKey = await this.#nodeKey();
    return nodeKey === undefined ? undefined : opened(key, nodeKey);
  }

  async #nodeKey(): Promise<string | undefined> {
    const text = (await readIfThere(join(this.folder, FILE.nodeKey)))?.toString("latin1").trim();
    return text === "" ? undefined : text;
  }

  async #makeNodeKey(): Promise<string> {
    const nodeKey = randomBytes(NODE_KEY_BYTES).toString("base64");
    await replaceFile(join(this.folder, FILE.nodeKey), Buffer.from(`${nodeKey}\n`));
    return nodeKey;
  }

  #mustBeSound(identity: NodeIdentity): void {
    const problem = problemOf(identity);
    if (problem === undefined) return;
    throw new Fault("STATE_DAMAGED", { file: this.folder }, new Error(problem));
  }

  #inTurn<T>(action: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(action);
    this.#last = turn.catch(() => {});
    return turn;
  }
}

function isSame(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : sameKey(a, b);
}

function isSealed(key: Uint8Array): boolean {
  return Buffer.from(key).toString("latin1").startsWith(BY_UNLOCK_KEY);
}

function sealed(key: Uint8Array, by: string, passphrase: string): Buffer {
  const made = createPrivateKey(Buffer.from(key));
  const pem = made.export({ type: "pkcs8", format: "pem", cipher: SEALED_BY, passphrase });
  return Buffer.from(`${by}${pem}`);
}

/** Undefined: it is not the key. PKCS #8 has no checksum: that it is the certificate's key says that it was opened. */
function opened(key: Uint8Array, passphrase: string): Buffer | undefined {
  try {
    const made = createPrivateKey({ key: Buffer.from(key), format: "pem", passphrase });
    return Buffer.from(made.export({ type: "pkcs8", format: "pem" }));
  } catch {
    return undefined;
  }
}

function problemOf(identity: NodeIdentity): string | undefined {
  try {
    const leaf = new X509Certificate(identity.certificate);
    const key = createPrivateKey(Buffer.from(identity.key));
    if (!leaf.checkPrivateKey(key)) return "the key is not the certificate's";
    // A flipped bit may well leave a certificate that can be read; nobody would take it.
    const roots = splitPem(identity.root).map((pem) => new X509Certificate(pem));
    const sound = roots.every((root) => root.verify(root.publicKey));
    const whileItLasts = Date.parse(leaf.validTo);
    const signed = sound && isIssuedBy(identity.certificate, identity.root, whileItLasts);
    return signed ? undefined : "a signature in it does not verify";
  } catch {
    return "a file in it is not PEM";
  }
}
