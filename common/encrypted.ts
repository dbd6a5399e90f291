// Which networks are encrypted, and which nodes can be on them: the same answer for managers and agents.
import type { Network, NodeDescription } from "../proto/gen/types.js";

/** Docker's name of the option: `--opt encrypted`. */
const ENCRYPTED_OPTION = "encrypted";

// RFC 7748 section 5: of X25519, private and public alike.
export const WIREGUARD_KEY_BYTES = 32;

/** Whatever is said but "false": a misspelled word must not leave open what was meant to be closed. */
function isEncryptedBy(options: Readonly<Record<string, string>> | undefined): boolean {
  const said = options?.[ENCRYPTED_OPTION];
  return said !== undefined && said !== "false";
}

export function isEncrypted(network: Network | undefined): boolean {
  return isEncryptedBy(network?.spec?.driverOpts);
}

/** What it has said of itself when its session began. */
export function canEncrypt(description: NodeDescription | undefined): boolean {
  return description?.wireguard?.publicKey.length === WIREGUARD_KEY_BYTES;
}

/** Why not, as the end of a sentence that began with the node. */
export function whyNotEncrypt(description: NodeDescription | undefined): string {
  return description?.wireguard?.problem || "it has not said that it can";
}
