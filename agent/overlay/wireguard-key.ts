// WireGuard's keys: X25519 (RFC 7748). The private one is held so that it cannot be written out by mistake: no JSON,
// no log line and no error message of ours shows it.
import { createPrivateKey, createPublicKey } from "node:crypto";
import { WIREGUARD_KEY_BYTES } from "../../common/encrypted.js";

// RFC 8410 section 7: PKCS #8 around a raw X25519 key; it ends with the key.
const PKCS8_HEAD = Buffer.from("302e020100300506032b656e04220420", "hex");

export class WireguardKey {
  readonly #bytes: Buffer;
  /** Base64, as wg(8) shows keys. */
  readonly publicKey: string;

  private constructor(bytes: Buffer) {
    this.#bytes = bytes;
    this.publicKey = publicKeyOf(bytes);
  }

  /** Of 32 bytes of chance. */
  static fromChance(chance: Uint8Array): WireguardKey {
    const bytes = Buffer.from(chance);
    // RFC 7748 section 5 (decodeScalar25519): as every implementation does before it uses one.
    bytes[0] = (bytes[0] ?? 0) & 248;
    bytes[31] = ((bytes[31] ?? 0) & 127) | 64;
    return new WireguardKey(bytes);
  }

  /** As written by `text`, and by `wg genkey`; undefined: it is no key. */
  static parse(text: string): WireguardKey | undefined {
    const bytes = keyBytes(text.trim());
    return bytes && new WireguardKey(bytes);
  }

  /** For the file that holds it. */
  text(): string {
    return `${this.#bytes.toString("base64")}\n`;
  }

  /** For the device. */
  bytes(): Uint8Array {
    return this.#bytes;
  }

  toJSON(): string {
    return `WireguardKey(${this.publicKey})`;
  }
}

/** Base64; undefined unless it is exactly one key. */
export function keyBytes(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, "base64");
  const isKey = bytes.length === WIREGUARD_KEY_BYTES && bytes.toString("base64") === text;
  return isKey ? bytes : undefined;
}

export function publicKeyOf(privateKey: Uint8Array): string {
  const key = createPrivateKey({
    key: Buffer.concat([PKCS8_HEAD, privateKey]),
    format: "der",
    type: "pkcs8",
  });
  // RFC 8410 section 4: a SubjectPublicKeyInfo ends with the raw key.
  const spki = createPublicKey(key).export({ format: "der", type: "spki" });
  return spki.subarray(-WIREGUARD_KEY_BYTES).toString("base64");
}
