import { expect, test } from "vitest";
import {
  element,
  objectIdentifier,
  positiveInteger,
  readElements,
  readInside,
  sequence,
  TAG,
  time,
} from "./der.js";

const hex = (text: string) => Buffer.from(text.replaceAll(" ", ""), "hex");

const made = [
  { name: "a short element", bytes: element(TAG.octetString, hex("0102")), want: "04 02 0102" },
  { name: "an empty sequence", bytes: sequence(), want: "30 00" },
  { name: "a positive integer", bytes: positiveInteger(hex("7f")), want: "02 01 7f" },
  { name: "one whose top bit is set", bytes: positiveInteger(hex("80")), want: "02 02 0080" },
  {
    name: "an object identifier (X.690 section 8.19.5)",
    bytes: objectIdentifier("2.999.3"),
    want: "06 03 883703",
  },
  {
    name: "ecdsa-with-SHA256",
    bytes: objectIdentifier("1.2.840.10045.4.3.2"),
    want: "06 08 2a8648ce3d040302",
  },
  {
    name: "the last second of two-digit years",
    bytes: time(Date.UTC(2049, 11, 31, 23, 59, 59)),
    want: `17 0d ${Buffer.from("491231235959Z").toString("hex")}`,
  },
  {
    name: "the first of four-digit years",
    bytes: time(Date.UTC(2050, 0, 1)),
    want: `18 0f ${Buffer.from("20500101000000Z").toString("hex")}`,
  },
];
for (const { name, bytes, want } of made) {
  test(`writes ${name}`, () => expect(bytes).toEqual(hex(want)));
}

test("reads what it writes, at every size of length", () => {
  for (const size of [0, 1, 127, 128, 255, 256, 65_535, 65_536]) {
    const written = element(TAG.octetString, Buffer.alloc(size, 7));
    const [read, ...more] = readElements(written) ?? [];
    expect(read?.content.length).toBe(size);
    expect(read?.whole.equals(written)).toBe(true);
    expect(more).toEqual([]);
  }
});

const wrong = [
  { name: "a length that goes past the end", bytes: "30 02 01" },
  { name: "a length in a longer form than it needs", bytes: "04 81 01 00" },
  { name: "a length that begins with zero", bytes: `04 82 0080 ${"00".repeat(128)}` },
  { name: "an indefinite length", bytes: "30 80 0000" },
  { name: "a tag of several bytes", bytes: "1f 81 01 00" },
  { name: "a tag with nothing after it", bytes: "30" },
];
for (const { name, bytes } of wrong) {
  test(`does not read ${name}`, () => expect(readElements(hex(bytes))).toBeUndefined());
}

test("looks inside one element of the tag asked for, and nothing after it", () => {
  expect(readInside(hex("30 02 0500"), TAG.sequence)?.length).toBe(1);
  expect(readInside(hex("31 02 0500"), TAG.sequence)).toBeUndefined();
  expect(readInside(hex("30 02 0500 00 00"), TAG.sequence)).toBeUndefined();
});
