// Writes into a program's instructions what is known only when it is loaded.
import type { BpfProgram } from "./object.js";
import { INSTRUCTION_BYTES } from "./object.js";

// linux/bpf.h: an instruction is op u8 | registers u8 (source in the upper half) | offset s16 | immediate s32, and one
// that loads 64 bits has the upper half in the immediate of a second one.
const BPF_LD_IMM64 = 0x18;
const BPF_PSEUDO_MAP_FD = 1;

/**
 * The instructions as the kernel takes them: `maps` has their descriptors, `constants` 32-bit values, each by name. A
 * sentence if one is missing.
 */
export function linkProgram(
  program: BpfProgram,
  maps: ReadonlyMap<string, number>,
  constants: ReadonlyMap<string, number>,
): Buffer | string {
  const code = Buffer.from(program.instructions);
  for (const { at, kind, name } of program.patches) {
    const value = (kind === "map" ? maps : constants).get(name);
    if (value === undefined) return `Program ${program.name} needs ${kind} ${name}.`;
    const from = at * INSTRUCTION_BYTES;
    if (code.readUInt8(from) !== BPF_LD_IMM64)
      return `Program ${program.name} has no room for ${kind} ${name}.`;
    if (kind === "map") {
      const registers = code.readUInt8(from + 1);
      code.writeUInt8((registers & 0x0f) | (BPF_PSEUDO_MAP_FD << 4), from + 1);
    }
    code.writeUInt32LE(value >>> 0, from + 4);
    code.writeUInt32LE(0, from + INSTRUCTION_BYTES + 4);
  }
  return code;
}
