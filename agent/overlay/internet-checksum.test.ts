import fc from "fast-check";
import { expect, test } from "vitest";
import { addSums, checksumOf, isIntact, sumOf, viewOf } from "./internet-checksum.js";

/** RFC 1071 section 4.1, word by word. */
function slow(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}

const someBytes = fc.uint8Array({ maxLength: 200 });

test("RFC 1071 section 3: the example's sum is ddf2", () => {
  const bytes = Buffer.from("0001f203f4f5f6f7", "hex");
  expect(sumOf(viewOf(bytes), 0, 8).toString(16)).toBe("ddf2");
  expect(checksumOf(bytes).toString(16)).toBe("220d");
});

test("is what adding word by word gives, wherever the bytes lie", () => {
  fc.assert(
    fc.property(someBytes, fc.nat(7), (bytes, shift) => {
      const moved = Buffer.concat([Buffer.alloc(shift), bytes]);
      expect(sumOf(viewOf(moved), shift, moved.length)).toBe(slow(bytes));
    }),
  );
});

test("64 KiB of ones do not overflow it", () => {
  const bytes = Buffer.alloc(65_536, 0xff);
  expect(sumOf(viewOf(bytes), 0, bytes.length)).toBe(slow(bytes));
});

test("the sum of parts of even length is the sum of the whole", () => {
  fc.assert(
    fc.property(someBytes, fc.nat(100), (bytes, half) => {
      const cut = Math.min(2 * half, bytes.length & ~1);
      const view = viewOf(bytes);
      expect(addSums(sumOf(view, 0, cut), sumOf(view, cut, bytes.length))).toBe(slow(bytes));
    }),
  );
});

test("a header with its checksum in place is intact, and not with any one bit turned", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 20, maxLength: 60 }), fc.nat(159), (bytes, bit) => {
      const header = Buffer.from(bytes.subarray(0, bytes.length & ~1));
      header.writeUInt16BE(0, 10);
      header.writeUInt16BE(checksumOf(header), 10);
      expect(isIntact(header)).toBe(true);
      header[bit >> 3] = (header[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(isIntact(header)).toBe(false);
    }),
  );
});
