// The eBPF programs as this build has them, and those of them that are in the kernel: loaded once by name, which is
// another one for another build. Who attaches them somewhere is accelerator.ts.
import { closeSync } from "node:fs";
import { Fault } from "../../common/fault.js";
import { linkProgram } from "../bpf/link.js";
import { type ProgramPlace, programOfKey } from "../reconcile/acceleration.js";
import { loadProgram, type ProgramInfo, programInfo } from "./bpf-call.js";
import { type BuiltObject, builtObject } from "./program-files.js";
import type { ProgramTables } from "./program-tables.js";
import { sentenceFault } from "./sentence.js";

type Which = Pick<ProgramPlace, "program" | "vni">;

export class LoadedPrograms {
  #object: BuiltObject | string | undefined;
  /** Descriptors by name. */
  readonly #loaded = new Map<string, number>();
  /** What was seen of a program's id, which is never given twice. */
  readonly #seen = new Map<number, ProgramInfo>();

  constructor(private readonly tables: ProgramTables) {}

  /** A text: why there is none. */
  built(): BuiltObject | string {
    this.#object ??= builtObject();
    return this.#object;
  }

  mustBuilt(): BuiltObject {
    const object = this.built();
    if (typeof object === "string") throw sentenceFault("BPF_NOT_BUILT", object, {});
    return object;
  }

  /** Its descriptor, which stays ours. */
  load(which: Which): number {
    const name = this.#nameOf(which);
    const loaded = this.#loaded.get(name);
    if (loaded !== undefined) return loaded;
    const object = this.mustBuilt();
    const program = object.programs.find((each) => each.name === which.program);
    if (program === undefined) throw new Fault("BPF_PROGRAM_MISSING", { program: which.program });
    const own = new Map([["own_vni", which.vni]]);
    const code = linkProgram(program, this.tables.descriptors(), own);
    if (typeof code === "string") throw new Fault("BPF_PROGRAM_UNFIT", { why: code });
    const fd = loadProgram(name, code, object.license);
    this.#loaded.set(name, fd);
    return fd;
  }

  /** Whether the kernel's program of this id is what this build has for the place, and uses the tables that stand. */
  isCurrent(key: string, programId: number): boolean {
    const which = programOfKey(key);
    const info = this.#seen.get(programId) ?? programInfo(programId);
    if (which === undefined || info === undefined || !this.tables.isOpen) return false;
    this.#seen.set(programId, info);
    return info.name === this.#nameOf(which) && this.tables.hasAll(info.mapIds);
  }

  /** Those that are attached stay in the kernel. */
  close(): void {
    for (const fd of this.#loaded.values()) closeSync(fd);
    this.#loaded.clear();
  }

  #nameOf({ program, vni }: Which): string {
    // All networks have the same of these.
    const own = program === "endpoint" ? vni : 0;
    return `sk_${this.mustBuilt().digestOf(program, own)}`;
  }
}
