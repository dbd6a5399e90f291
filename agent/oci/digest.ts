// Digests as OCI content is named by: "sha256:" and 64 hexadecimal digits (OCI image-spec, descriptor.md).
import { createHash } from "node:crypto";

// sha512 is registered as well, and nobody uses it; containerd 1.6 takes sha256.
const DIGEST = /^sha256:[0-9a-f]{64}$/;

export function isDigest(text: string): boolean {
  return DIGEST.test(text);
}

export function digestOf(bytes: Uint8Array | string): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

/** As people see it: 12 digits. */
export function shortDigest(digest: string): string {
  return digest.replace(/^sha256:/, "").slice(0, 12);
}

/**
 * The name of the snapshot that has these layers, base first (OCI image-spec, config.md, "Layer ChainID").
 * containerd's clients name snapshots so, and so do we: layers are shared with whoever else uses it.
 */
export function chainIdOf(diffIds: readonly string[]): string {
  return diffIds.reduce(
    (chain, diffId) => (chain === "" ? diffId : digestOf(`${chain} ${diffId}`)),
    "",
  );
}
