import { beforeEach, describe, expect, test } from "vitest";
import { isRefusal } from "../../common/fault.js";
import { Batch } from "../../proto/gen/store.js";
import { Cluster, Node } from "../../proto/gen/types.js";
import { updateCluster } from "../control/cluster.js";
import { versionOf } from "../store/objects.js";
import { Store } from "../store/store.js";
import type { Draft } from "../store/view.js";
import {
  behind,
  finishRotation,
  type NewRoot,
  type RootChange,
  signingCa,
  trustedRoots,
  withoutKeys,
} from "./root-rotation.js";

const SECRETS = { worker: "old w", manager: "old m" };
const FRESH = { worker: "new w", manager: "new m" };
const rootOf = (name: string): NewRoot => ({
  certificate: Buffer.from(`cert ${name};`),
  privateKey: Buffer.from(`key ${name}`),
  subject: Buffer.from(`subject ${name}`),
  publicKey: Buffer.from(`public ${name}`),
});
const [OLD, ONE, TWO] = [rootOf("old"), rootOf("one"), rootOf("two")] as const;
const to = (root: NewRoot): RootChange => ({
  kind: "rotate",
  root,
  crossSigned: Buffer.from(`${root.certificate} by old`),
  startedAtMs: 7,
});

let store: Store;
let revision: number;
beforeEach(() => {
  store = new Store();
  revision = 0;
  write((draft) => {
    const cluster = {
      id: "c",
      spec: { name: "default" },
      rootCaCert: OLD.certificate,
      rootCaKey: OLD.privateKey,
      issuerSubject: OLD.subject,
      issuerPublicKey: OLD.publicKey,
      joinSecrets: SECRETS,
    };
    draft.create("cluster", Cluster.fromPartial(cluster));
    for (const id of ["a", "b"]) {
      const publicKeyDigest = Buffer.from(id);
      const certIssuerPublicKey = OLD.publicKey;
      draft.create("node", Node.fromPartial({ id, publicKeyDigest, certIssuerPublicKey }));
    }
  });
});

function write(change: (draft: Draft) => void): void {
  const made = store.draft((draft) => {
    draft.attempt(1, change);
    return [...draft.transactions];
  });
  if (made.length > 0) store.apply(++revision, Batch.encode({ transactions: made }).finish());
}
function cluster(): Cluster {
  const found = store.view.cluster();
  if (!found) throw new Error("there is a cluster");
  return found;
}
function rotate(change: RootChange): void {
  const asked = {
    version: versionOf(cluster()),
    spec: cluster().spec,
    rotateWorkerToken: false,
    rotateManagerToken: false,
    rotateUnlockKey: false,
    dataPathPort: 0,
  };
  write((draft) => {
    const answer = updateCluster(draft, asked, { ...SECRETS, unlockKey: Buffer.alloc(0) }, change);
    if (isRefusal(answer)) throw new Error(answer.message);
  });
}
/** The node says that it uses a certificate of this root. */
function moves(id: string, root: NewRoot): void {
  write((draft) => {
    const node = draft.node(id);
    if (node) draft.update("node", { ...node, certIssuerPublicKey: root.publicKey });
  });
}
const finish = () => write((draft) => void finishRotation(draft, FRESH));
const trusted = () => trustedRoots(cluster()).toString();
const signer = () => signingCa(cluster()).certificate.toString();

describe("a swarm moves to another root", () => {
  test("both are trusted, the new one signs and shows its way to the old one, tokens stay", () => {
    rotate(to(ONE));
    expect(trusted()).toBe("cert old;cert one;");
    expect(signingCa(cluster())).toEqual({
      certificate: ONE.certificate,
      privateKey: ONE.privateKey,
      intermediate: Buffer.from("cert one; by old"),
    });
    expect(cluster().rootCaCert).toEqual(OLD.certificate);
    expect(cluster().joinSecrets).toEqual(SECRETS);
  });

  test("it ends when the last node has moved, and not before", () => {
    rotate(to(ONE));
    moves("a", ONE);
    finish();
    expect(behind(store.view).map(({ id }) => id)).toEqual(["b"]);
    expect(trusted()).toBe("cert old;cert one;");
    moves("b", ONE);
    finish();
    expect(trusted()).toBe("cert one;");
    expect(signingCa(cluster())).toEqual({
      certificate: ONE.certificate,
      privateKey: ONE.privateKey,
    });
    expect(cluster().joinSecrets).toEqual(FRESH);
    expect(cluster().issuerSubject).toEqual(ONE.subject);
  });

  test("a node that is removed does not hold it up", () => {
    rotate(to(ONE));
    moves("a", ONE);
    write((draft) => draft.remove("node", "b"));
    finish();
    expect(trusted()).toBe("cert one;");
  });

  test("begun again, it is to the second root, for those who had moved too", () => {
    rotate(to(ONE));
    moves("a", ONE);
    rotate(to(TWO));
    expect(trusted()).toBe("cert old;cert two;");
    expect(signer()).toBe("cert two;");
    moves("b", TWO);
    finish();
    expect(behind(store.view).map(({ id }) => id)).toEqual(["a"]);
    moves("a", TWO);
    finish();
    expect(trusted()).toBe("cert two;");
  });

  test("asked for the root that is there, it is called off; for the one on its way, it goes on", () => {
    rotate(to(ONE));
    rotate({ kind: "keep", root: ONE });
    expect(trusted()).toBe("cert old;cert one;");
    rotate({ kind: "keep", root: OLD });
    expect(trusted()).toBe("cert old;");
    expect(signer()).toBe("cert old;");
    expect(cluster().issuerPublicKey).toEqual(OLD.publicKey);
  });

  test("what is shown of it has no key", () => {
    rotate(to(ONE));
    const shown = Buffer.from(Cluster.encode(withoutKeys(cluster())).finish()).toString("latin1");
    expect(shown).toContain("cert one");
    expect(shown).not.toContain("key old");
    expect(shown).not.toContain("key one");
  });
});
