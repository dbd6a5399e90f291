import { expect, test } from "vitest";
import { crc32c } from "./crc32c.js";

const fill = (byte: number) => new Uint8Array(32).fill(byte);
const rising = Uint8Array.from({ length: 32 }, (_, i) => i);

// RFC 3720 appendix B.4 gives these (there as bytes in the order of transmission).
const cases = [
  { name: "32 bytes of zeroes", bytes: fill(0), want: 0x8a9136aa },
  { name: "32 bytes of ones", bytes: fill(0xff), want: 0x62a8ab43 },
  { name: "32 incrementing bytes", bytes: rising, want: 0x46dd794e },
  { name: "32 decrementing bytes", bytes: rising.toReversed(), want: 0x113fdb5c },
  { name: "the check value of the catalogues", bytes: Buffer.from("123456789"), want: 0xe3069283 },
  { name: "nothing", bytes: new Uint8Array(), want: 0 },
];
for (const { name, bytes, want } of cases) {
  test(`RFC 3720 B.4: ${name}`, () => expect(crc32c(bytes)).toBe(want));
}

test("in two parts as in one, wherever it is cut", () => {
  const whole = Uint8Array.from({ length: 61 }, (_, i) => (i * 37) & 255);
  for (let cut = 0; cut <= whole.length; cut++) {
    const first = crc32c(whole.subarray(0, cut));
    expect(crc32c(whole.subarray(cut), first)).toBe(crc32c(whole));
  }
});
