// AES-256-GCM over numbered pieces of one file. Each file has a random salt and so a key of its own
// (HKDF, RFC 5869), under which a piece's number is its nonce: a number is never used twice in a file.
import { createCipheriv, createDecipheriv, hkdfSync, webcrypto } from "node:crypto";

export const SALT_BYTES = 32;
/** NIST SP 800-38D section 5.2.1.2: the full tag. */
const TAG_BYTES = 16;
const NONCE_BYTES = 12;
const ALGORITHM = "aes-256-gcm";

export class FileCipher {
  readonly #key: Uint8Array;

  constructor(dataKey: Uint8Array, salt: Uint8Array, purpose: string) {
    this.#key = new Uint8Array(hkdfSync("sha256", dataKey, salt, `skein ${purpose}`, 32));
  }

  /** Ciphertext, then tag. */
  seal(number: number, associated: Uint8Array, plain: Uint8Array): Buffer {
    const cipher = createCipheriv(ALGORITHM, this.#key, nonce(number));
    cipher.setAAD(associated);
    return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  }

  /** As `seal`, on a thread of its own: for what takes long. */
  async sealAside(number: number, associated: Uint8Array, plain: Uint8Array): Promise<Buffer> {
    const { subtle } = webcrypto;
    const key = await subtle.importKey("raw", this.#key, "AES-GCM", false, ["encrypt"]);
    const algorithm = { name: "AES-GCM", iv: nonce(number), additionalData: associated };
    return Buffer.from(await subtle.encrypt(algorithm, key, plain));
  }

  /** `undefined` when it was not sealed with this key, number and associated data. */
  open(number: number, associated: Uint8Array, sealed: Uint8Array): Buffer | undefined {
    if (sealed.length < TAG_BYTES) return undefined;
    const end = sealed.length - TAG_BYTES;
    const decipher = createDecipheriv(ALGORITHM, this.#key, nonce(number));
    decipher.setAAD(associated);
    decipher.setAuthTag(sealed.subarray(end));
    try {
      return Buffer.concat([decipher.update(sealed.subarray(0, end)), decipher.final()]);
    } catch {
      return undefined;
    }
  }
}

function nonce(number: number): Buffer {
  const bytes = Buffer.alloc(NONCE_BYTES);
  bytes.writeUInt32BE(number, NONCE_BYTES - 4);
  return bytes;
}
