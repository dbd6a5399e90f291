// Bob Jenkins' hash as Linux has it (include/linux/jhash.h), and its scaling to a range (reciprocal_scale): what the
// expression `hash` of nf_tables computes.

// jhash.h: JHASH_INITVAL.
const INITIAL = 0xdeadbeef;

export function hashBelow(bytes: Uint8Array, modulus: number, seed: number): number {
  return Number((BigInt(jhash(bytes, seed)) * BigInt(modulus)) >> 32n);
}

function jhash(bytes: Uint8Array, seed: number): number {
  // Missing bytes of the last block count as zero.
  const view = new DataView(new ArrayBuffer(Math.max(12, Math.ceil(bytes.length / 12) * 12)));
  bytes.forEach((byte, i) => {
    view.setUint8(i, byte);
  });
  let a = (INITIAL + bytes.length + seed) | 0;
  let b = a;
  let c = a;
  const add = (at: number) => {
    a = (a + view.getUint32(at, true)) | 0;
    b = (b + view.getUint32(at + 4, true)) | 0;
    c = (c + view.getUint32(at + 8, true)) | 0;
  };
  let at = 0;
  for (; bytes.length - at > 12; at += 12) {
    add(at);
    [a, b, c] = mix(a, b, c);
  }
  if (bytes.length === at) return c >>> 0;
  add(at);
  return final(a, b, c) >>> 0;
}

function mix(x: number, y: number, z: number): [number, number, number] {
  let [a, b, c] = [x, y, z];
  for (const [first, second, third] of [
    [4, 6, 8],
    [16, 19, 4],
  ] as const) {
    a = ((a - c) ^ roll(c, first)) | 0;
    c = (c + b) | 0;
    b = ((b - a) ^ roll(a, second)) | 0;
    a = (a + c) | 0;
    c = ((c - b) ^ roll(b, third)) | 0;
    b = (b + a) | 0;
  }
  return [a, b, c];
}

function final(x: number, y: number, z: number): number {
  let [a, b, c] = [x, y, z];
  c = ((c ^ b) - roll(b, 14)) | 0;
  a = ((a ^ c) - roll(c, 11)) | 0;
  b = ((b ^ a) - roll(a, 25)) | 0;
  c = ((c ^ b) - roll(b, 16)) | 0;
  a = ((a ^ c) - roll(c, 4)) | 0;
  b = ((b ^ a) - roll(a, 14)) | 0;
  return ((c ^ b) - roll(b, 24)) | 0;
}

function roll(value: number, by: number): number {
  return (value << by) | (value >>> (32 - by));
}
