import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { Fault } from "../common/fault.js";
import { fileWords } from "./file-words.js";

const failed = (path: string) => readFile(path).catch((error: unknown) => error);

test("what is wrong with a file is said as the system says it, whatever is around it", async () => {
  const missing = await failed("/no/such/file");
  expect(fileWords(missing)).toBe("no such file or directory");
  expect(fileWords(new Fault("FILE_WRITE", { path: "x" }, missing))).toBe(
    "no such file or directory",
  );
  expect(fileWords(await failed("/"))).toBe("illegal operation on a directory");
  expect(fileWords(new Error("cut off"))).toBe("cut off");
});
