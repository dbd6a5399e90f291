// Numbers of the DNS protocol, and names as they go over the wire.
//
//   name    length byte, that many bytes, … , 0         (RFC 1035 section 3.1)
//   record  name | type 2 | class 2 | ttl 4 | length 2 | data
//
// A name is kept as its key: its wire form in lower case as a Latin-1 string. A length byte is at most 63, so
// lower case does not touch it, and nothing has to be escaped.

// RFC 1035 section 3.2, RFC 2782, RFC 3596, RFC 6891.
export const TYPE_A = 1;
export const TYPE_SOA = 6;
export const TYPE_PTR = 12;
export const TYPE_AAAA = 28;
export const TYPE_SRV = 33;
export const TYPE_OPT = 41;
// RFC 5936, RFC 1995: zone transfers, which are no questions of a resolver's clients.
export const TYPE_IXFR = 251;
export const TYPE_AXFR = 252;
export const CLASS_IN = 1;

// RFC 1035 section 4.1.1, RFC 6895 section 2.3.
export const NOERROR = 0;
export const FORMERR = 1;
export const SERVFAIL = 2;
export const NXDOMAIN = 3;
export const NOTIMP = 4;
/** RFC 6891 section 9: its upper bits go into the OPT record. */
export const BADVERS = 16;

// The flags in bytes 2 and 3 of the header.
export const QR = 0x8000;
export const TC = 0x0200;
export const RD = 0x0100;
export const RA = 0x0080;
export const AD = 0x0020;
export const CD = 0x0010;

export const HEADER_BYTES = 12;
/** Name 0, type, class (UDP size), extended flags, no options. */
export const OPT_BYTES = 11;
// RFC 1035 section 4.2.1: what UDP carries when nobody says otherwise.
export const UDP_BYTES_MIN = 512;
// DNS flag day 2020: fits in one packet wherever IPv6 goes.
export const UDP_BYTES_ADVERTISED = 1232;
// RFC 1035 section 2.3.4.
const LABEL_BYTES_MAX = 63;
const NAME_BYTES_MAX = 255;

/** The key of a name written with dots; undefined if it cannot be in the DNS. */
export function nameKey(name: string): string | undefined {
  let key = "";
  for (const label of name.split(".")) {
    if (label.length === 0 || label.length > LABEL_BYTES_MAX || !/^[!-~]+$/.test(label)) {
      return undefined;
    }
    key += String.fromCharCode(label.length) + label;
  }
  return key.length < NAME_BYTES_MAX ? `${key.toLowerCase()}\0` : undefined;
}

/** The wire form with the letters as they are written; undefined as `nameKey`. */
export function nameBytes(name: string): Buffer | undefined {
  if (nameKey(name) === undefined) return undefined;
  const labels = name.split(".").map((label) => String.fromCharCode(label.length) + label);
  return Buffer.from(`${labels.join("")}\0`, "latin1");
}

/** For logs and tests. */
export function nameText(key: string): string {
  const labels: string[] = [];
  for (let at = 0; at < key.length; ) {
    const length = key.charCodeAt(at);
    if (length === 0) break;
    labels.push(key.slice(at + 1, at + 1 + length));
    at += 1 + length;
  }
  return labels.join(".");
}

/**
 * Where the uncompressed name that begins at `at` ends; undefined: it is none, or is longer than allowed. In
 * a question, which comes first, there is nothing that a pointer could point to.
 */
export function plainNameEnd(bytes: Uint8Array, at: number): number | undefined {
  for (let here = at; here < bytes.length; ) {
    const length = bytes[here] ?? 0;
    if (length > LABEL_BYTES_MAX) return undefined;
    here += 1 + length;
    if (here - at > NAME_BYTES_MAX) return undefined;
    if (length === 0) return here <= bytes.length ? here : undefined;
  }
  return undefined;
}

/** Where a name ends that may end with a pointer (RFC 1035 section 4.1.4), which is not followed. */
export function nameEnd(bytes: Uint8Array, at: number): number | undefined {
  for (let here = at; here < bytes.length; ) {
    const length = bytes[here] ?? 0;
    if (length >= 0xc0) return here + 2 <= bytes.length ? here + 2 : undefined;
    if (length > LABEL_BYTES_MAX) return undefined;
    here += 1 + length;
    if (here - at > NAME_BYTES_MAX) return undefined;
    if (length === 0) return here <= bytes.length ? here : undefined;
  }
  return undefined;
}
