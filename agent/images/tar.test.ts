import { spawnSync } from "node:child_process";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type TarEntry, type TarFile, tarEntries, tarOf } from "./tar.js";

const FILE = { type: "file", mode: 0o100644, uid: 0, gid: 0, mtimeSeconds: 0 } as const;

function fileOf(name: string, text: string): TarFile {
  const bytes = Buffer.from(text);
  return { ...FILE, name, size: bytes.length, data: chunked(bytes, 7) };
}

async function* chunked(bytes: Uint8Array, length: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length);
}

function written(...files: TarFile[]): Promise<Buffer> {
  return buffer(Readable.from(tarOf(Readable.from(files))));
}

type Read = Omit<TarEntry, "data"> & { readonly text: string };

async function read(bytes: Uint8Array, chunkBytes = 1_000): Promise<Read[]> {
  const found: Read[] = [];
  for await (const { data, ...entry } of tarEntries(chunked(bytes, chunkBytes))) {
    found.push({ ...entry, text: (await buffer(data)).toString() });
  }
  return found;
}

/** A ustar header as it stands in an archive, with the fields that tar-stream's writer would not give. */
function header(fields: {
  name?: string;
  size?: number;
  type?: string;
  octalSize?: string;
}): Buffer {
  const block = Buffer.alloc(512);
  block.write(fields.name ?? "x", 0, "latin1");
  block.write("0000644\0", 100, "latin1");
  block.write(fields.octalSize ?? (fields.size ?? 0).toString(8).padStart(11, "0"), 124, "latin1");
  block.write("00000000000", 136, "latin1");
  block.write(fields.type ?? "0", 156, "latin1");
  block.write("ustar\x0000", 257, "latin1");
  block.fill(" ", 148, 156);
  const sum = block.reduce((all, byte) => all + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return block;
}

describe("what is written comes back", () => {
  const odd = { mode: 0o100000, uid: 4_000_000_000, gid: 300_000, mtimeSeconds: 2 ** 33 };
  const cases: readonly (readonly [string, TarFile, Partial<Read>])[] = [
    ["a file", fileOf("a", "text"), { name: "a", type: "file", size: 4, text: "text" }],
    ["an empty file", fileOf("a", ""), { size: 0, text: "" }],
    ["a name of 300 bytes", fileOf("n".repeat(300), "x"), { name: "n".repeat(300), text: "x" }],
    ["a name beyond ASCII", fileOf("ä/ß", "x"), { name: "ä/ß" }],
    ["no mode, and large numbers", { ...fileOf("a", "x"), ...odd }, { ...odd, mode: 0 }],
    [
      "a folder",
      { ...FILE, name: "d/", type: "directory", size: 0, mode: 0o041777 },
      { name: "d/", type: "folder", mode: 0o1777 },
    ],
    [
      "a long link",
      { ...FILE, name: "l", type: "symlink", size: 0, linkName: "/t".repeat(200) },
      { name: "l", type: "symlink", linkName: "/t".repeat(200) },
    ],
    [
      "a hard link",
      { ...FILE, name: "l", type: "link", size: 0, linkName: "a" },
      { name: "l", type: "link", linkName: "a", size: 0 },
    ],
  ];
  for (const [name, file, want] of cases) {
    test(name, async () => {
      const archive = await written(fileOf("before", "1"), file, fileOf("after", "2"));
      const [before, found, after] = await read(archive);
      expect(found).toMatchObject(want);
      expect([before?.text, after?.text]).toEqual(["1", "2"]);
    });
  }

  test("any files, in any chunks", async () => {
    const files = fc.array(fc.tuple(fc.stringMatching(/^[a-z/é]{1,200}$/), fc.string()), {
      maxLength: 5,
      minLength: 1,
    });
    await fc.assert(
      fc.asyncProperty(files, fc.integer({ min: 1, max: 2_000 }), async (list, chunkBytes) => {
        const archive = await written(...list.map(([name, text]) => fileOf(name, text)));
        const found = await read(archive, chunkBytes);
        expect(found.map(({ text }) => text)).toEqual(list.map(([, text]) => text));
      }),
      { numRuns: 50 },
    );
  });

  test("tar(1) lists it, devices and pipes too", async () => {
    const device = { ...FILE, size: 0, device: { major: 1, minor: 3 } };
    const archive = await written(
      { ...device, name: "null", type: "character-device", mode: 0o020666, uid: 1_000_000 },
      { ...device, name: "pipe", type: "fifo", mode: 0o010600 },
    );
    const { stdout } = spawnSync("tar", ["-tv", "--numeric-owner"], { input: archive });
    expect(stdout.toString()).toMatch(/^crw-rw-rw- 1000000\/0 +1,3 .* null\nprw------- .* pipe\n$/);
  });
});

test("what is not read of an entry is skipped, the whole or its rest", async () => {
  const archive = await written(
    fileOf("a", "x".repeat(100_000)),
    fileOf("b", "y"),
    fileOf("c", "z"),
  );
  const seen: string[] = [];
  for await (const { name, data } of tarEntries(chunked(archive, 4_096))) {
    seen.push(name);
    // Leaves after the first chunk.
    if (name === "a") for await (const _ of data) break;
  }
  expect(seen).toEqual(["a", "b", "c"]);
});

test("devices, pipes and other kinds are left out", async () => {
  const device = { ...FILE, name: "null", type: "character-device", size: 0 } as const;
  const archive = await written(device, fileOf("a", "x"));
  expect((await read(archive)).map(({ name }) => name)).toEqual(["a"]);
});

test("GNU's long names are read", async () => {
  const path = `${"d/".repeat(80)}file`;
  const long = Buffer.concat([header({ type: "L", size: path.length }), padded(path)]);
  expect(await read(Buffer.concat([long, header({ size: 1 }), padded("x")]))).toMatchObject([
    { name: path, text: "x" },
  ]);
});

function padded(text: string): Buffer {
  return Buffer.concat([Buffer.from(text)], Math.ceil(text.length / 512) * 512);
}

describe("refused", () => {
  const HUGE = 8 * 2 ** 20;
  const cases: readonly (readonly [string, Buffer | Promise<Buffer>, RegExp])[] = [
    ["nothing", Buffer.alloc(0), /: it is empty$/],
    ["text", Buffer.from("hello ".repeat(200)), /: it is no tar archive$/],
    ["half a header", header({}).subarray(0, 300), /: it ends too early$/],
    [
      "half a file",
      written(fileOf("a", "x".repeat(4_000))).then((all) => all.subarray(0, 2_000)),
      /: it ends too early$/,
    ],
    [
      "a second header of garbage",
      Buffer.concat([header({}), Buffer.alloc(512, "g")]),
      /: a header is damaged$/,
    ],
    ["a size that is none", header({ octalSize: "zzzzzzzzzzz" }), /: a size is damaged$/],
    [
      "a negative size",
      Buffer.concat([header({ type: "x", size: 11 }), padded("11 size=-1\n"), header({})]),
      /: a size is damaged$/,
    ],
    ["a long name", written(fileOf("n".repeat(4_097), "x")), /: a name is longer than 4096 bytes$/],
    [
      "a name without an end",
      Buffer.concat([header({ type: "L", size: HUGE }), Buffer.alloc(HUGE, "n")]),
      /: a name is longer than 4096 bytes$/,
    ],
  ];
  for (const [name, bytes, want] of cases) {
    test(name, async () => {
      await expect(read(await bytes)).rejects.toThrow(want);
    });
  }

  test("more entries than an archive may have", async () => {
    const one = header({});
    async function* many() {
      for (let i = 0; i <= 100_000; i += 100) yield Buffer.alloc(100 * 512, one);
    }
    await expect(
      (async () => {
        for await (const _ of tarEntries(many()));
      })(),
    ).rejects.toThrow("it has more than 100000 entries");
  });
});

test("zeros after the end may be many", async () => {
  const archive = Buffer.concat([await written(fileOf("a", "x")), Buffer.alloc(4 * 2 ** 20)]);
  expect(await read(archive)).toMatchObject([{ name: "a" }]);
});

test("a failure of the source is told as it was, in an entry and between them", async () => {
  const archive = await written(fileOf("a", "x".repeat(4_000)));
  for (const bytes of [0, 1_000]) {
    async function* failing() {
      yield archive.subarray(0, bytes);
      throw new Error("the line is cut");
    }
    const reading = (async () => {
      for await (const { data } of tarEntries(failing())) await buffer(data);
    })();
    await expect(reading).rejects.toThrow("the line is cut");
  }
});

test("a failure of a file fails the archive; a reader who leaves closes the files", async () => {
  const wrong = { ...fileOf("a", "12345"), size: 6 };
  await expect(written(wrong)).rejects.toThrow();
  let closed = false;
  async function* endless() {
    try {
      for (;;) yield Buffer.alloc(1_000);
    } finally {
      closed = true;
    }
  }
  const archive = tarOf(Readable.from([{ ...FILE, name: "a", size: 2 ** 40, data: endless() }]));
  for await (const _ of archive) break;
  expect(closed).toBe(true);
});
