// The reader of object files: on a small one made here, cut at each byte, with any byte changed, and on noise.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { linkProgram } from "./link.js";
import { type BpfObject, readObject } from "./object.js";

const LD_IMM64 = [0x18, 1, 0, 0, 0, 0, 0, 0];
const EMPTY = [0, 0, 0, 0, 0, 0, 0, 0];
const EXIT = [0x95, 0, 0, 0, 0, 0, 0, 0];
const CODE = Buffer.from([...LD_IMM64, ...EMPTY, ...LD_IMM64, ...EMPTY, ...EXIT]);

/** An object as clang writes it, with one program, one map and one constant. */
function objectFile(): Buffer {
  const names = "\0.strtab\0tc/first\0.reltc/first\0maps\0license\0.symtab\0first\0rows\0own_vni\0";
  const nameAt = (name: string) => names.indexOf(`\0${name}\0`) + 1;
  const map = Buffer.alloc(20);
  for (const [i, value] of [1, 4, 32, 100, 1].entries()) map.writeUInt32LE(value, 4 * i);
  const symbol = (name: string, type: number, section: number) => {
    const bytes = Buffer.alloc(24);
    bytes.writeUInt32LE(nameAt(name), 0);
    bytes.writeUInt8(0x10 | type, 4);
    bytes.writeUInt16LE(section, 6);
    return bytes;
  };
  const symbols = [
    Buffer.alloc(24),
    symbol("first", 2, 2),
    symbol("rows", 1, 4),
    symbol("own_vni", 0, 0),
  ];
  const relocation = (offset: number, of: number) => {
    const bytes = Buffer.alloc(16);
    bytes.writeUInt32LE(offset, 0);
    bytes.writeUInt32LE(1, 8);
    bytes.writeUInt32LE(of, 12);
    return bytes;
  };
  const sections: [string, number, Buffer, number][] = [
    ["", 0, Buffer.alloc(0), 0],
    [".strtab", 3, Buffer.from(names), 0],
    ["tc/first", 1, CODE, 0],
    [".reltc/first", 9, Buffer.concat([relocation(0, 2), relocation(16, 3)]), 2],
    ["maps", 1, map, 0],
    ["license", 1, Buffer.from("Apache-2.0\0"), 0],
    [".symtab", 2, Buffer.concat(symbols), 0],
  ];
  const header = Buffer.alloc(64);
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  header.writeUInt16LE(247, 18);
  header.writeUInt16LE(64, 58);
  header.writeUInt16LE(sections.length, 60);
  header.writeUInt16LE(1, 62);
  const bodies: Buffer[] = [];
  const heads: Buffer[] = [];
  let at = 64;
  for (const [name, type, bytes, about] of sections) {
    const head = Buffer.alloc(64);
    head.writeUInt32LE(name === "" ? 0 : nameAt(name), 0);
    head.writeUInt32LE(type, 4);
    head.writeUInt32LE(at, 24);
    head.writeUInt32LE(bytes.length, 32);
    head.writeUInt32LE(about, 44);
    heads.push(head);
    bodies.push(bytes);
    at += bytes.length;
  }
  header.writeUInt32LE(at, 40);
  return Buffer.concat([header, ...bodies, ...heads]);
}

function mustRead(file: Buffer): BpfObject {
  const object = readObject(file);
  if (typeof object === "string") throw new Error(object);
  return object;
}

describe("an object file", () => {
  test("is read as its maps, its programs and where they are to be patched", () => {
    expect(mustRead(objectFile())).toEqual({
      license: "Apache-2.0",
      maps: [{ name: "rows", type: 1, keyBytes: 4, valueBytes: 32, entriesMax: 100, flags: 1 }],
      programs: [
        {
          name: "first",
          instructions: CODE,
          patches: [
            { at: 0, kind: "map", name: "rows" },
            { at: 2, kind: "constant", name: "own_vni" },
          ],
        },
      ],
    });
  });

  test("that ends anywhere before its end is refused with a sentence", () => {
    const file = objectFile();
    for (let length = 0; length < file.length; length++)
      expect(readObject(file.subarray(0, length)), `${length} bytes`).toMatch(/\.$/);
  });

  test("with any byte changed is read or refused, and what was read can be linked or is refused", () => {
    const file = objectFile();
    fc.assert(
      fc.property(
        fc.nat(file.length - 1),
        fc.nat(255),
        fc.nat(file.length - 1),
        (at, value, cut) => {
          const changed = Buffer.from(file);
          changed[at] = value;
          for (const bytes of [changed, changed.subarray(0, cut)]) {
            const object = readObject(bytes);
            if (typeof object === "string") continue;
            for (const program of object.programs) linkProgram(program, new Map(), new Map());
          }
        },
      ),
      { numRuns: 2000 },
    );
  });

  test("noise is refused", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (noise) => {
        expect(readObject(Buffer.from(noise))).toMatch(/\.$/);
        const headed = Buffer.concat([objectFile().subarray(0, 64), Buffer.from(noise)]);
        expect(readObject(headed)).toMatch(/\.$/);
      }),
    );
  });
});

describe("linking", () => {
  const [program] = mustRead(objectFile()).programs;
  if (program === undefined) throw new Error("no program");

  test("writes a map's descriptor so that the kernel knows it for one, and a constant as it is", () => {
    const code = linkProgram(program, new Map([["rows", 7]]), new Map([["own_vni", 4097]]));
    const want = Buffer.from(CODE);
    want[1] = 0x11;
    want.writeUInt32LE(7, 4);
    want.writeUInt32LE(4097, 20);
    expect(code).toEqual(want);
    expect(program.instructions, "its own bytes are untouched").toEqual(CODE);
  });

  test("says what is missing", () => {
    expect(linkProgram(program, new Map(), new Map())).toBe("Program first needs map rows.");
    expect(linkProgram(program, new Map([["rows", 7]]), new Map())).toBe(
      "Program first needs constant own_vni.",
    );
  });
});
