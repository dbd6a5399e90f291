// bpf(2): each command that is used, by its own name. What the kernel reads and writes through pointers lies in one
// buffer of this file, whose address is asked for once.
import { closeSync as closeFd } from "node:fs";
import { Fault } from "../../common/fault.js";
import { bindCall, check, lastErrno, SystemError } from "../../common/libc.js";
import type { MapDefinition } from "../bpf/object.js";

// include/uapi/linux/bpf.h: enum bpf_cmd.
const MAP_CREATE = 0;
const PROG_LOAD = 5;
const OBJ_PIN = 6;
const OBJ_GET = 7;
const PROG_GET_FD_BY_ID = 13;
const OBJ_GET_INFO_BY_FD = 15;
const MAP_LOOKUP_BATCH = 24;
const MAP_UPDATE_BATCH = 26;
const MAP_DELETE_BATCH = 27;
const LINK_CREATE = 28;
const LINK_UPDATE = 29;
const LINK_DETACH = 34;
const BPF_PROG_TYPE_SCHED_CLS = 3;
const BPF_TCX_INGRESS = 46;
/** BPF_OBJ_NAME_LEN, with the NUL. */
const NAME_BYTES = 16;
const ENOENT = 2;

// The same call has another number on each of the two architectures (asm/unistd_64.h, asm-generic/unistd.h).
const SYS_BPF = process.arch === "arm64" ? 280 : 321;
// union bpf_attr is 144 bytes in 6.1; zeroes behind what a kernel knows are no trouble to it.
const ATTRIBUTE_BYTES = 144;
// Choice: holds a batch of rows, or what the verifier has to say.
const ARENA_BYTES = 1 << 20;

const syscall = bindCall("long syscall(long, int, void *, unsigned int)");
// It gives back the address that it was given.
const addressOf = bindCall("uint64_t memcpy(void *, const void *, size_t)");

// Not from Node's pool, and never moved: typed arrays of this size live outside the collector's heap.
const arena = Buffer.allocUnsafeSlow(ARENA_BYTES);
const arenaAddress = BigInt(addressOf(arena, arena, 0));
const attribute = Buffer.alloc(ATTRIBUTE_BYTES);

/** Writes the command's attribute from zeroes on. */
function begin(): Buffer {
  return attribute.fill(0);
}
function pointer(at: number, offset: number): void {
  attribute.writeBigUInt64LE(arenaAddress + BigInt(offset), at);
}
/** What it answers, or its errno, negated. */
function attempt(command: number): number {
  const result = syscall(SYS_BPF, command, attribute, attribute.length);
  return result < 0 ? -lastErrno() : result;
}
function call(command: number, name: string): number {
  return check(name, syscall(SYS_BPF, command, attribute, attribute.length));
}
function put(offset: number, bytes: Uint8Array): number {
  arena.set(bytes, offset);
  // The kernel wants what it reads as numbers at addresses of a multiple of 8.
  return offset + bytes.length + 7 - ((offset + bytes.length + 7) % 8);
}
function name(at: number, text: string): void {
  attribute.write(text.slice(0, NAME_BYTES - 1), at, "latin1");
}

export function createMap(shape: MapDefinition): number {
  const { type, keyBytes, valueBytes, entriesMax, flags } = shape;
  const to = begin();
  for (const [at, value] of [type, keyBytes, valueBytes, entriesMax, flags].entries())
    to.writeUInt32LE(value, at * 4);
  name(28, shape.name);
  return call(MAP_CREATE, "BPF_MAP_CREATE");
}

/** A program for tc. The fault of one that is refused has the verifier's own words. */
export function loadProgram(programName: string, instructions: Buffer, license: string): number {
  // A program that is well needs no words, and asking for them costs; so they are asked for when it is refused.
  const fd = tryLoad(programName, instructions, license, false);
  if (fd >= 0) return fd;
  const again = tryLoad(programName, instructions, license, true);
  if (again >= 0) return again;
  const log = arena.toString("latin1", LOG_AT, Math.max(LOG_AT, arena.indexOf(0, LOG_AT)));
  throw new Fault(
    "BPF_PROGRAM_REFUSED",
    { program: programName, verifier: log.trim().split("\n").slice(-5).join("; ") },
    new SystemError("BPF_PROG_LOAD", -again),
  );
}

// Behind the instructions, which are at most some kilobytes.
const LOG_AT = ARENA_BYTES / 2;

function tryLoad(programName: string, code: Buffer, license: string, words: boolean): number {
  const licenseAt = put(0, code);
  put(licenseAt, Buffer.from(`${license}\0`));
  const to = begin();
  to.writeUInt32LE(BPF_PROG_TYPE_SCHED_CLS, 0);
  to.writeUInt32LE(code.length / 8, 4);
  pointer(8, 0);
  pointer(16, licenseAt);
  if (words) {
    arena.fill(0, LOG_AT);
    to.writeUInt32LE(1, 24);
    to.writeUInt32LE(ARENA_BYTES - LOG_AT, 28);
    pointer(32, LOG_AT);
  }
  name(48, programName);
  return attempt(PROG_LOAD);
}

export function pin(fd: number, path: string): void {
  put(0, Buffer.from(`${path}\0`));
  begin().writeUInt32LE(fd, 8);
  pointer(0, 0);
  call(OBJ_PIN, "BPF_OBJ_PIN");
}

/** A descriptor of what is pinned there; undefined if nothing is, or nothing of BPF. */
export function pinned(path: string): number | undefined {
  put(0, Buffer.from(`${path}\0`));
  begin();
  pointer(0, 0);
  const fd = attempt(OBJ_GET);
  return fd < 0 ? undefined : fd;
}

export interface MapInfo {
  readonly id: number;
  readonly type: number;
  readonly keyBytes: number;
  readonly valueBytes: number;
  readonly entriesMax: number;
}

/** struct bpf_map_info. */
export function mapInfo(fd: number): MapInfo {
  const words = info(fd, 24);
  const at = (index: number) => words.readUInt32LE(4 * index);
  return { type: at(0), id: at(1), keyBytes: at(2), valueBytes: at(3), entriesMax: at(4) };
}

export interface ProgramInfo {
  readonly name: string;
  readonly mapIds: readonly number[];
}

// More than any program of ours has.
const MAP_IDS_MAX = 64;
const MAP_IDS_AT = 1024;

/** struct bpf_prog_info; undefined if there is none of this id any more. */
export function programInfo(id: number): ProgramInfo | undefined {
  begin().writeUInt32LE(id, 0);
  const fd = attempt(PROG_GET_FD_BY_ID);
  if (fd < 0) return undefined;
  try {
    const asked = Buffer.alloc(80);
    asked.writeUInt32LE(MAP_IDS_MAX, 52);
    asked.writeBigUInt64LE(arenaAddress + BigInt(MAP_IDS_AT), 56);
    const found = info(fd, 80, asked);
    const count = Math.min(found.readUInt32LE(52), MAP_IDS_MAX);
    const mapIds = Array.from({ length: count }, (_, i) => arena.readUInt32LE(MAP_IDS_AT + 4 * i));
    return { name: textOf(found.subarray(64, 80)), mapIds };
  } finally {
    closeFd(fd);
  }
}

const LINK_INFO_BYTES = 24;

/** struct bpf_link_info of a tcx link; ifindex 0: its device is gone, or somebody detached it. */
export function linkInfo(fd: number): { readonly programId: number; readonly ifindex: number } {
  // Asked so often that nothing is copied.
  arena.fill(0, 0, LINK_INFO_BYTES);
  askInfo(fd, LINK_INFO_BYTES);
  return { programId: arena.readUInt32LE(8), ifindex: arena.readUInt32LE(16) };
}

function info(fd: number, bytes: number, asked = Buffer.alloc(bytes)): Buffer {
  put(0, asked);
  askInfo(fd, bytes);
  return Buffer.from(arena.subarray(0, bytes));
}

function askInfo(fd: number, bytes: number): void {
  const to = begin();
  to.writeUInt32LE(fd, 0);
  to.writeUInt32LE(bytes, 4);
  pointer(8, 0);
  call(OBJ_GET_INFO_BY_FD, "BPF_OBJ_GET_INFO_BY_FD");
}

/** At the ingress of a device of the calling thread's namespace; lives as long as it is open or pinned. Since 6.6. */
export function createTcxLink(programFd: number, ifindex: number): number {
  const to = begin();
  to.writeUInt32LE(programFd, 0);
  to.writeUInt32LE(ifindex, 4);
  to.writeUInt32LE(BPF_TCX_INGRESS, 8);
  return call(LINK_CREATE, "BPF_LINK_CREATE");
}

/** No frame goes without either the old program or the new one. */
export function updateLink(linkFd: number, programFd: number): void {
  const to = begin();
  to.writeUInt32LE(linkFd, 0);
  to.writeUInt32LE(programFd, 4);
  call(LINK_UPDATE, "BPF_LINK_UPDATE");
}

/** Also where somebody else still has it open. */
export function detachLink(linkFd: number): void {
  begin().writeUInt32LE(linkFd, 0);
  call(LINK_DETACH, "BPF_LINK_DETACH");
}

/** Bytes of keys and values are one character each (latin1). */
export type MapRow = readonly [key: string, value: string];

export function putMapRows(fd: number, shape: MapDefinition, rows: readonly MapRow[]): void {
  const { keyBytes, valueBytes } = shape;
  inBatches(rows, keyBytes + valueBytes, (part) => {
    const valuesAt = keyBytes * part.length + 8 - ((keyBytes * part.length) % 8);
    for (const [i, [key, value]] of part.entries()) {
      arena.write(key, i * keyBytes, keyBytes, "latin1");
      arena.write(value, valuesAt + i * valueBytes, valueBytes, "latin1");
    }
    batch(fd, part.length);
    pointer(16, 0);
    pointer(24, valuesAt);
    call(MAP_UPDATE_BATCH, "BPF_MAP_UPDATE_BATCH");
  });
}

/** Those that are not there are not missed. */
export function dropMapRows(
  fd: number,
  { keyBytes }: MapDefinition,
  keys: readonly string[],
): void {
  // The kernel stops a batch at the first that is not there.
  let rest = keys;
  while (rest.length > 0) {
    const part = rest.slice(0, Math.floor(ARENA_BYTES / keyBytes));
    for (const [i, key] of part.entries()) arena.write(key, i * keyBytes, keyBytes, "latin1");
    batch(fd, part.length);
    pointer(16, 0);
    const result = attempt(MAP_DELETE_BATCH);
    if (result < 0 && result !== -ENOENT) throw new SystemError("BPF_MAP_DELETE_BATCH", -result);
    const done = attribute.readUInt32LE(32);
    rest = rest.slice(result < 0 ? done + 1 : part.length);
  }
}

// Choice: some hundred kilobytes of rows a call.
const ROWS_A_CALL = 2048;
const TOKENS_AT = 0;
const ROWS_AT = 64;

/** All rows; of a map whose values are per CPU the values are `cpus` times as long. */
export function mapRows(fd: number, { keyBytes, valueBytes }: MapDefinition, cpus = 1): MapRow[] {
  const valueSpan = cpus === 1 ? valueBytes : (valueBytes + 7 - ((valueBytes + 7) % 8)) * cpus;
  const most = Math.min(ROWS_A_CALL, Math.floor((ARENA_BYTES - 128) / (keyBytes + valueSpan)));
  const valuesAt = ROWS_AT + keyBytes * most + 8 - ((keyBytes * most) % 8);
  const rows: MapRow[] = [];
  for (let first = true; ; first = false) {
    batch(fd, most);
    if (!first) pointer(0, TOKENS_AT);
    pointer(8, TOKENS_AT);
    pointer(16, ROWS_AT);
    pointer(24, valuesAt);
    const result = attempt(MAP_LOOKUP_BATCH);
    // ENOENT: these are the last.
    if (result < 0 && result !== -ENOENT) throw new SystemError("BPF_MAP_LOOKUP_BATCH", -result);
    const count = attribute.readUInt32LE(32);
    for (let i = 0; i < count; i++) {
      const key = arena.toString("latin1", ROWS_AT + i * keyBytes, ROWS_AT + (i + 1) * keyBytes);
      const value = arena.toString(
        "latin1",
        valuesAt + i * valueSpan,
        valuesAt + (i + 1) * valueSpan,
      );
      rows.push([key, value]);
    }
    if (result < 0) return rows;
  }
}

function batch(fd: number, count: number): void {
  const to = begin();
  to.writeUInt32LE(count, 32);
  to.writeUInt32LE(fd, 36);
}

function inBatches<T>(rows: readonly T[], bytes: number, use: (part: readonly T[]) => void): void {
  const most = Math.floor((ARENA_BYTES - 64) / bytes);
  for (let at = 0; at < rows.length; at += most) use(rows.slice(at, at + most));
}

function textOf(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString("latin1", 0, end < 0 ? bytes.length : end);
}
