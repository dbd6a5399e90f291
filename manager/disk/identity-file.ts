// Which manager this folder belongs to, and the manager's own copy of its certificate and key (the
// agent's copy belongs to root, and the manager runs as an ordinary user).
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { replaceFile } from "../../common/durable-files.js";
import { Fault } from "../../common/fault.js";
import type { StateDir } from "./state-dir.js";

export interface ManagerIdentity {
  readonly raftId: number;
  readonly clusterId: string;
  readonly nodeId: string;
  readonly listenAddr: string;
  readonly advertiseAddr: string;
  /** The manager by which it joined; empty on the one that made the swarm. */
  readonly joinedBy: string;
}

/** PEM, each. */
export interface TlsIdentity {
  readonly certificate: Uint8Array;
  readonly privateKey: Uint8Array;
  readonly rootCaCert: Uint8Array;
}

/** `undefined` when this folder has never held a manager. Fault IDENTITY_DAMAGED. */
export async function loadIdentity(dir: StateDir): Promise<ManagerIdentity | undefined> {
  const path = join(dir.path, "identity.json");
  const bytes = await readIfThere(path);
  if (bytes === undefined) return undefined;
  const identity = parseIdentity(bytes.toString("utf8"));
  if (identity === undefined) throw damaged(path);
  return identity;
}

export async function saveIdentity(dir: StateDir, identity: ManagerIdentity): Promise<void> {
  const { raftId, clusterId, nodeId, listenAddr, advertiseAddr, joinedBy } = identity;
  const text = JSON.stringify(
    { raftId, clusterId, nodeId, listenAddr, advertiseAddr, joinedBy },
    undefined,
    2,
  );
  await replaceFile(join(dir.path, "identity.json"), Buffer.from(`${text}\n`));
}

// One file, so that a crash between two renames cannot pair a key with another key's certificate.
const TLS_FILE = "tls.json";

/** `undefined` when there is none. Fault IDENTITY_DAMAGED. */
export async function loadTls(dir: StateDir): Promise<TlsIdentity | undefined> {
  const path = join(dir.path, "tls", TLS_FILE);
  const bytes = await readIfThere(path);
  if (bytes === undefined) return undefined;
  const fields = parseStrings(bytes.toString("utf8"), ["certificate", "privateKey", "rootCaCert"]);
  if (fields === undefined) throw damaged(path);
  const [certificate = "", privateKey = "", rootCaCert = ""] = fields;
  return {
    certificate: Buffer.from(certificate),
    privateKey: Buffer.from(privateKey),
    rootCaCert: Buffer.from(rootCaCert),
  };
}

export async function saveTls(dir: StateDir, tls: TlsIdentity): Promise<void> {
  const pem = (bytes: Uint8Array) => Buffer.from(bytes).toString("utf8");
  const text = JSON.stringify(
    {
      certificate: pem(tls.certificate),
      privateKey: pem(tls.privateKey),
      rootCaCert: pem(tls.rootCaCert),
    },
    undefined,
    2,
  );
  await mkdir(join(dir.path, "tls"), { recursive: true, mode: 0o700 });
  await replaceFile(join(dir.path, "tls", TLS_FILE), Buffer.from(`${text}\n`));
}

function parseIdentity(text: string): ManagerIdentity | undefined {
  const names = ["clusterId", "nodeId", "listenAddr", "advertiseAddr"];
  const strings = parseStrings(text, names);
  if (strings === undefined) return undefined;
  const { raftId, joinedBy = "" } = JSON.parse(text) as { raftId?: unknown; joinedBy?: unknown };
  if (typeof joinedBy !== "string") return undefined;
  if (typeof raftId !== "number" || !Number.isSafeInteger(raftId) || raftId < 1) return undefined;
  const [clusterId = "", nodeId = "", listenAddr = "", advertiseAddr = ""] = strings;
  return { raftId, clusterId, nodeId, listenAddr, advertiseAddr, joinedBy };
}

/** The values of the named fields if the text is a JSON object and each is a string. */
function parseStrings(text: string, names: readonly string[]): readonly string[] | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof parsed !== "object" || parsed === null) return undefined;
  const fields = parsed as Readonly<Record<string, unknown>>;
  const values = names.map((name) => fields[name]);
  return values.every((value) => typeof value === "string") ? values : undefined;
}

async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new Fault("STATE_READ", { path }, error);
  }
}

function damaged(path: string): Fault {
  const why = "not what this release writes: restore it, or move the folder away and join again";
  return new Fault("IDENTITY_DAMAGED", { path, why });
}
