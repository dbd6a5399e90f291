// DER (ITU-T X.690): as much of it as certificates and signing requests need. An element is one byte of
// tag, one to five of length, then its content:
//
//   +-----+--------------------------------+---------+
//   | tag | < 0x80, or 0x80+n and n bytes  | content |
//   +-----+--------------------------------+---------+
//
// Reading never throws: bytes that are not the one right form are undefined.

/** X.690 sections 8 and 8.14: universal tags, and context-specific ones as RFC 5280 uses them. */
export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectIdentifier: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;
/** `[n]` around another element. */
export const contextTag = (number: number) => 0xa0 | number;
/** `[n]` in the place of a string's own tag. */
export const implicitTag = (number: number) => 0x80 | number;

export interface Element {
  readonly tag: number;
  readonly content: Buffer;
  /** Tag, length and content: what a signature over the element covers. */
  readonly whole: Buffer;
}

/** The elements that follow one another in `bytes`, all of them; undefined if anything is wrong. */
export function readElements(bytes: Buffer): readonly Element[] | undefined {
  const found: Element[] = [];
  for (let at = 0; at < bytes.length; ) {
    const element = readElement(bytes.subarray(at));
    if (element === undefined) return undefined;
    found.push(element);
    at += element.whole.length;
  }
  return found;
}

/** What is in the one element that `bytes` is, if it has this tag. */
export function readInside(bytes: Buffer, tag: number): readonly Element[] | undefined {
  const [only, ...more] = readElements(bytes) ?? [];
  return only?.tag === tag && more.length === 0 ? readElements(only.content) : undefined;
}

// 4 bytes of length are more than any message that reaches us.
const LENGTH_BYTES_MAX = 4;

function readElement(bytes: Buffer): Element | undefined {
  const [tag, first] = bytes;
  // Section 8.1.2.4: a low five bits of all ones would begin a tag of many bytes, which nothing here has.
  if (tag === undefined || first === undefined || (tag & 0x1f) === 0x1f) return undefined;
  if (first < 0x80) return cut(bytes, tag, 2, first);
  const count = first & 0x7f;
  if (count === 0 || count > LENGTH_BYTES_MAX || bytes.length < 2 + count) return undefined;
  const length = bytes.readUIntBE(2, count);
  // Section 10.1: the shortest form is the only one.
  const shortest = length >= 0x80 && bytes[2] !== 0;
  return shortest ? cut(bytes, tag, 2 + count, length) : undefined;
}

function cut(bytes: Buffer, tag: number, head: number, length: number): Element | undefined {
  const end = head + length;
  if (end > bytes.length) return undefined;
  return { tag, content: bytes.subarray(head, end), whole: bytes.subarray(0, end) };
}

export function element(tag: number, ...content: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(content);
  if (body.length < 0x80) return Buffer.concat([Buffer.of(tag, body.length), body]);
  const count = Math.ceil((32 - Math.clz32(body.length)) / 8);
  const head = Buffer.alloc(2 + count);
  head.writeUInt8(tag, 0);
  head.writeUInt8(0x80 | count, 1);
  head.writeUIntBE(body.length, 2, count);
  return Buffer.concat([head, body]);
}

export const sequence = (...content: readonly Uint8Array[]) => element(TAG.sequence, ...content);

/** An integer of these bytes, which are taken as positive and must not begin with a zero. */
export function positiveInteger(bytes: Uint8Array): Buffer {
  const negative = ((bytes[0] ?? 0) & 0x80) !== 0;
  return element(TAG.integer, ...(negative ? [Buffer.of(0)] : []), bytes);
}

/** Section 8.19: the first two numbers share a byte, the others have 7 bits a byte. */
export function objectIdentifier(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  const bytes = [40 * first + second, ...rest].flatMap((number) => {
    const groups = [number & 0x7f];
    for (let left = number >>> 7; left > 0; left >>>= 7) groups.unshift(0x80 | (left & 0x7f));
    return groups;
  });
  return element(TAG.objectIdentifier, Buffer.from(bytes));
}

/** A bit string whose last byte has `unusedBits` bits that do not count. */
export function bitString(bytes: Uint8Array, unusedBits = 0): Buffer {
  return element(TAG.bitString, Buffer.of(unusedBits), bytes);
}

/** RFC 5280 section 4.1.2.5: two digits of year until 2049, four from 2050; whole seconds, in UTC. */
export function time(ms: number): Buffer {
  const digits = new Date(ms).toISOString().replace(/\.\d+/, "").replace(/[-T:]/g, "");
  const short = new Date(ms).getUTCFullYear() < 2050;
  return short
    ? element(TAG.utcTime, Buffer.from(digits.slice(2)))
    : element(TAG.generalizedTime, Buffer.from(digits));
}
