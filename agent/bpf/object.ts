// What clang makes of the programs in agent/kernel/bpf: an ELF file. Read here as far as the kernel needs to be told of
// it: instructions, map definitions (struct map_definition of helpers.h), and where in the instructions a map's
// descriptor or a constant is to be written. Reading never throws and never leaves the file.
//
//   ELF header → section headers → sections by name: "tc/…" (instructions), "maps", ".symtab" and its strings
//   relocation (16 bytes): offset u64 | type u32 | symbol u32        symbol (24 bytes): name u32 | info u8 | other u8 |
//   section u16 | value u64 | size u64
//
// Source: the System V ABI's chapters on object files; Documentation/bpf/standardization and
// Documentation/bpf/llvm_reloc.rst of the kernel.

const ELF64_LITTLE_ENDIAN = Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1]);
const ELF_HEADER_BYTES = 64;
const SECTION_HEADER_BYTES = 64;
const SYMBOL_BYTES = 24;
const RELOCATION_BYTES = 16;
const EM_BPF = 247;
const SHT_PROGBITS = 1;
const SHT_SYMTAB = 2;
const SHT_NOBITS = 8;
const SHT_REL = 9;
const STT_FUNC = 2;
const SHN_UNDEF = 0;
/** A 64-bit value loaded by an instruction of two slots. */
const R_BPF_64_64 = 1;
const MAP_DEFINITION_BYTES = 20;
export const INSTRUCTION_BYTES = 8;
const PROGRAM_PREFIX = "tc/";
// Choice: ours have thirteen sections and eighty symbols; this only bounds the work on a file that is not ours.
const SECTIONS_MAX = 1000;
const SYMBOLS_MAX = 100_000;

export interface MapDefinition {
  readonly name: string;
  /** BPF_MAP_TYPE_*. */
  readonly type: number;
  readonly keyBytes: number;
  readonly valueBytes: number;
  readonly entriesMax: number;
  /** BPF_F_*. */
  readonly flags: number;
}

/** An instruction that loads the address of a map, or a constant that whoever loads the program gives. */
export interface Patch {
  /** Index of the instruction. */
  readonly at: number;
  readonly kind: "map" | "constant";
  readonly name: string;
}

export interface BpfProgram {
  /** What follows "tc/" in its section's name. */
  readonly name: string;
  readonly instructions: Buffer;
  readonly patches: readonly Patch[];
}

export interface BpfObject {
  readonly license: string;
  readonly maps: readonly MapDefinition[];
  readonly programs: readonly BpfProgram[];
}

interface Section {
  readonly name: string;
  readonly type: number;
  readonly bytes: Buffer;
  /** sh_info: of a relocation section, the section that it is about. */
  readonly about: number;
}
interface Symbol {
  readonly name: string;
  readonly type: number;
  readonly section: number;
  readonly value: number;
}

/** The object, or a sentence that says what is wrong with the file. */
export function readObject(file: Buffer): BpfObject | string {
  const sections = sectionsOf(file);
  if (typeof sections === "string") return sections;
  const symbols = symbolsOf(sections);
  if (typeof symbols === "string") return symbols;
  const maps = mapsOf(sections, symbols);
  if (typeof maps === "string") return maps;
  const programs: BpfProgram[] = [];
  for (const [index, { name, type, bytes }] of sections.entries()) {
    if (type !== SHT_PROGBITS || !name.startsWith(PROGRAM_PREFIX)) continue;
    if (bytes.length === 0 || bytes.length % INSTRUCTION_BYTES !== 0)
      return `Section ${name} holds no whole instructions.`;
    const starts = symbols.filter((each) => each.type === STT_FUNC && each.section === index);
    if (starts.length !== 1 || starts[0]?.value !== 0)
      return `Section ${name} holds something else than one program.`;
    const patches = patchesOf(sections, symbols, index);
    if (typeof patches === "string") return patches;
    programs.push({ name: name.slice(PROGRAM_PREFIX.length), instructions: bytes, patches });
  }
  if (programs.length === 0) return "It holds no programs.";
  const license = sections.find(({ name }) => name === "license")?.bytes ?? Buffer.alloc(0);
  return { license: text(license, 0) ?? "", maps, programs };
}

function sectionsOf(file: Buffer): readonly Section[] | string {
  if (file.length < ELF_HEADER_BYTES || !file.subarray(0, 6).equals(ELF64_LITTLE_ENDIAN))
    return "It is no 64-bit little-endian ELF file.";
  if (file.readUInt16LE(18) !== EM_BPF) return "It is not for BPF.";
  const start = number(file, 40);
  const entryBytes = file.readUInt16LE(58);
  const count = file.readUInt16LE(60);
  const namesAt = file.readUInt16LE(62);
  if (entryBytes !== SECTION_HEADER_BYTES || count === 0 || count > SECTIONS_MAX)
    return "Its section headers are of another kind.";
  if (start + count * SECTION_HEADER_BYTES > file.length)
    return "Its section headers lie outside it.";
  const raw = [];
  for (let at = start; raw.length < count; at += SECTION_HEADER_BYTES) {
    const type = file.readUInt32LE(at + 4);
    const from = number(file, at + 24);
    const size = type === SHT_NOBITS ? 0 : number(file, at + 32);
    if (size > 0 && from + size > file.length) return "A section lies outside it.";
    const bytes = size > 0 ? file.subarray(from, from + size) : Buffer.alloc(0);
    raw.push({ nameAt: file.readUInt32LE(at), type, bytes, about: file.readUInt32LE(at + 44) });
  }
  const names = raw[namesAt]?.bytes;
  if (names === undefined) return "Its sections have no names.";
  const sections: Section[] = [];
  for (const { nameAt, ...rest } of raw) {
    const name = text(names, nameAt);
    if (name === undefined) return "A section's name is cut short.";
    sections.push({ name, ...rest });
  }
  return sections;
}

function symbolsOf(sections: readonly Section[]): readonly Symbol[] | string {
  const table = sections.find(({ type }) => type === SHT_SYMTAB)?.bytes;
  const names = sections.find(({ name }) => name === ".strtab")?.bytes;
  if (table === undefined || names === undefined) return "It has no symbols.";
  const count = table.length / SYMBOL_BYTES;
  if (!Number.isInteger(count) || count > SYMBOLS_MAX) return "Its table of symbols is cut short.";
  const symbols: Symbol[] = [];
  for (let at = 0; at < table.length; at += SYMBOL_BYTES) {
    const name = text(names, table.readUInt32LE(at));
    if (name === undefined) return "A symbol's name is cut short.";
    const type = table.readUInt8(at + 4) & 0xf;
    symbols.push({ name, type, section: table.readUInt16LE(at + 6), value: number(table, at + 8) });
  }
  return symbols;
}

function mapsOf(
  sections: readonly Section[],
  symbols: readonly Symbol[],
): readonly MapDefinition[] | string {
  const index = sections.findIndex(({ name }) => name === "maps");
  const bytes = sections[index]?.bytes;
  if (bytes === undefined) return [];
  const maps: MapDefinition[] = [];
  for (const { name, section, value } of symbols) {
    if (section !== index || name === "" || name === "maps") continue;
    if (value + MAP_DEFINITION_BYTES > bytes.length) return `Map ${name} is cut short.`;
    maps.push({
      name,
      type: bytes.readUInt32LE(value),
      keyBytes: bytes.readUInt32LE(value + 4),
      valueBytes: bytes.readUInt32LE(value + 8),
      entriesMax: bytes.readUInt32LE(value + 12),
      flags: bytes.readUInt32LE(value + 16),
    });
  }
  return maps;
}

function patchesOf(
  sections: readonly Section[],
  symbols: readonly Symbol[],
  program: number,
): readonly Patch[] | string {
  const { name: where = "", bytes: code = Buffer.alloc(0) } = sections[program] ?? {};
  const mapSection = sections.findIndex(({ name }) => name === "maps");
  const patches: Patch[] = [];
  for (const { bytes } of sections.filter(
    (each) => each.type === SHT_REL && each.about === program,
  )) {
    if (bytes.length % RELOCATION_BYTES !== 0) return `The relocations of ${where} are cut short.`;
    for (let at = 0; at < bytes.length; at += RELOCATION_BYTES) {
      const offset = number(bytes, at);
      const symbol = symbols[bytes.readUInt32LE(at + 12)];
      // It has two slots.
      if (offset % INSTRUCTION_BYTES !== 0 || offset + 2 * INSTRUCTION_BYTES > code.length)
        return `A relocation of ${where} lies outside it.`;
      if (bytes.readUInt32LE(at + 8) !== R_BPF_64_64 || symbol === undefined || symbol.name === "")
        return `A relocation of ${where} is of a kind that is not known here.`;
      const { name, section } = symbol;
      if (section !== SHN_UNDEF && section !== mapSection)
        return `A relocation of ${where} leads to ${name}, which is no map.`;
      const kind = section === SHN_UNDEF ? "constant" : "map";
      patches.push({ at: offset / INSTRUCTION_BYTES, kind, name });
    }
  }
  return patches;
}

/** A number of 64 bits; one that no file's offset can be is as good as infinite. */
function number(bytes: Buffer, at: number): number {
  return Number(bytes.readBigUInt64LE(at));
}

/** Up to its NUL; undefined if there is none. */
function text(bytes: Buffer, at: number): string | undefined {
  if (at >= bytes.length) return undefined;
  const end = bytes.indexOf(0, at);
  return end < 0 ? undefined : bytes.toString("latin1", at, end);
}
