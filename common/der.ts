// Reads the outline of a DER value (X.690): tag, length, contents. Enough to find a field of a certificate without
// loading a library; what is found there is compared and shown, never believed.

// X.690 section 8.1.2 and 8.1.3: one octet of tag (no field of a certificate has more), then the length.
const LONG_FORM = 0x80;
// Larger than any certificate: 4 octets of length would overflow nothing, more are nonsense.
const LENGTH_OCTETS_MAX = 4;

/** The values inside a constructed one, each with its tag and length; undefined when the bytes are none. */
export function childrenOf(value: Uint8Array): readonly Uint8Array[] | undefined {
  const body = contentsOf(value);
  if (body === undefined) return undefined;
  const children: Uint8Array[] = [];
  for (let at = 0; at < body.length; ) {
    const size = sizeOf(body.subarray(at));
    if (size === undefined) return undefined;
    children.push(body.subarray(at, at + size));
    at += size;
  }
  return children;
}

function contentsOf(value: Uint8Array): Uint8Array | undefined {
  const header = headerOf(value);
  if (header === undefined || header.length + header.contents > value.length) return undefined;
  return value.subarray(header.length, header.length + header.contents);
}

function sizeOf(value: Uint8Array): number | undefined {
  const header = headerOf(value);
  const size = header && header.length + header.contents;
  return size !== undefined && size <= value.length ? size : undefined;
}

function headerOf(value: Uint8Array): { length: number; contents: number } | undefined {
  const first = value[1];
  if (first === undefined) return undefined;
  if (first < LONG_FORM) return { length: 2, contents: first };
  const octets = first - LONG_FORM;
  if (octets === 0 || octets > LENGTH_OCTETS_MAX || value.length < 2 + octets) return undefined;
  let contents = 0;
  for (const octet of value.subarray(2, 2 + octets)) contents = contents * 256 + octet;
  return { length: 2 + octets, contents };
}
