// For tests: questions as clients send them, and answers as people read them. A slow and obvious reader of
// its own, so that what the codec writes is not judged by the codec.
import { formatIp, ipFromBytes } from "../../common/address.js";

const TYPES: Readonly<Record<string, number>> = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  OPT: 41,
  ANY: 255,
};
const CODES = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"];

export function question(
  name: string,
  type = "A",
  { id = 7, edns = 0, flags = 0x0100 }: { id?: number; edns?: number; flags?: number } = {},
): Buffer {
  const labels = name === "." ? [] : name.replace(/\.$/, "").split(".");
  const parts = labels.flatMap((label) => [
    Buffer.from([label.length]),
    Buffer.from(label, "latin1"),
  ]);
  const header = Buffer.alloc(12);
  header.writeUInt16BE(id, 0);
  header.writeUInt16BE(flags, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(edns > 0 ? 1 : 0, 10);
  const opt =
    edns > 0 ? Buffer.from([0, 0, 41, edns >> 8, edns & 255, 0, 0, 0, 0, 0, 0]) : Buffer.alloc(0);
  return Buffer.concat([header, ...parts, Buffer.from([0, 0, TYPES[type] ?? 0, 0, 1]), opt]);
}

export interface Seen {
  readonly id: number;
  readonly code: string;
  readonly flags: readonly string[];
  readonly question: string;
  readonly answers: readonly string[];
  readonly ttls: readonly number[];
  readonly edns: number | undefined;
}

export function see(bytes: Buffer): Seen {
  const at = { offset: 12 };
  const [questions, answers, authorities, additionals] = [4, 6, 8, 10].map((where) =>
    bytes.readUInt16BE(where),
  );
  const flags = bytes.readUInt16BE(2);
  let asked = "";
  if (questions === 1) {
    asked = `${nameAt(bytes, at)} ${typeName(bytes.readUInt16BE(at.offset))}`;
    at.offset += 4;
  }
  const seen: string[] = [];
  const ttls: number[] = [];
  let edns: number | undefined;
  let extended = 0;
  for (let i = 0; i < (answers ?? 0) + (authorities ?? 0) + (additionals ?? 0); i++) {
    nameAt(bytes, at);
    const type = typeName(bytes.readUInt16BE(at.offset));
    const length = bytes.readUInt16BE(at.offset + 8);
    const data = bytes.subarray(at.offset + 10, at.offset + 10 + length);
    if (type === "OPT") {
      edns = bytes.readUInt16BE(at.offset + 2);
      extended = bytes.readUInt8(at.offset + 4) << 4;
    } else if (i < (answers ?? 0)) {
      ttls.push(bytes.readUInt32BE(at.offset + 4));
      seen.push(`${type} ${dataText(bytes, type, data, at.offset + 10)}`);
    }
    at.offset += 10 + length;
  }
  if (at.offset !== bytes.length) throw new Error("bytes left over");
  const named = { TC: 0x200, RD: 0x100, RA: 0x80, AA: 0x400, QR: 0x8000 };
  return {
    id: bytes.readUInt16BE(0),
    code: CODES[(flags & 15) | extended] ?? `code ${(flags & 15) | extended}`,
    flags: Object.entries(named)
      .filter(([, bit]) => flags & bit)
      .map(([name]) => name),
    question: asked,
    answers: seen,
    ttls,
    edns,
  };
}

function dataText(bytes: Buffer, type: string, data: Buffer, offset: number): string {
  const ip = type === "A" || type === "AAAA" ? ipFromBytes(data) : undefined;
  if (ip !== undefined) return formatIp(ip);
  if (type === "PTR" || type === "CNAME") return nameAt(bytes, { offset });
  if (type === "SRV") return `${data.readUInt16BE(4)} ${nameAt(bytes, { offset: offset + 6 })}`;
  return data.toString("hex");
}

function nameAt(bytes: Buffer, at: { offset: number }): string {
  const labels: string[] = [];
  let here = at.offset;
  let hasJumped = false;
  for (let steps = 0; steps < 200; steps++) {
    const length = bytes.readUInt8(here);
    if (length >= 0xc0) {
      if (!hasJumped) at.offset = here + 2;
      hasJumped = true;
      here = bytes.readUInt16BE(here) & 0x3fff;
      continue;
    }
    here += 1 + length;
    if (length === 0) break;
    labels.push(bytes.toString("latin1", here - length, here));
  }
  if (!hasJumped) at.offset = here;
  return labels.join(".");
}

function typeName(type: number): string {
  return Object.entries(TYPES).find(([, number]) => number === type)?.[0] ?? `type ${type}`;
}
