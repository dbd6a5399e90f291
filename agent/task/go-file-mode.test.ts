import { expect, test } from "vitest";
import { goFileMode } from "./go-file-mode.js";

test.each([
  ["a file", 0o100644, 0o644],
  ["a folder", 0o040755, 0x80000000 + 0o755],
  ["a sticky folder", 0o041777, 0x80000000 + 0x100000 + 0o777],
  ["a link", 0o120777, 0x08000000 + 0o777],
  ["a character device", 0o020620, 0x04200000 + 0o620],
  ["a block device", 0o060660, 0x04000000 + 0o660],
  ["a FIFO", 0o010600, 0x02000000 + 0o600],
  ["a socket", 0o140755, 0x01000000 + 0o755],
  ["a set-user-id program", 0o104711, 0x800000 + 0o711],
])("%s", (_name, mode, go) => {
  expect(goFileMode(mode)).toBe(go);
});
