// What the data of an echo request begins with, so that what comes back tells which request of which call it is about:
//
//   0                8           12          16
//   +----------------+-----------+-----------+---------
//   | token          | target    | number    | zeros…
//   +----------------+-----------+-----------+---------
//
// The token is one call's. The identifier of ICMP (RFC 792) is the token's first two bytes, and is all that an error has.
import { type Family, type Ip, ipFromBytes } from "../../common/address.js";
import { decodeIcmp } from "./icmp.js";

export const ECHO_TOKEN_BYTES = 8;
export const ECHO_MARK_BYTES = ECHO_TOKEN_BYTES + 8;

/** Which of a call's requests: `target` and `number` count from 0. */
export interface EchoMark {
  readonly target: number;
  readonly number: number;
}

export type EchoAnswer =
  | ({ readonly kind: "reply"; readonly dataBytes: number } & EchoMark)
  /** Icmp's: which of the requests to this address is not told. */
  | { readonly kind: "error"; readonly to: Ip; readonly mtuBytes: number | undefined };

export function identifierOf(token: Buffer): number {
  return token.readUInt16BE(0);
}

/** The data of a request, `sizeBytes` long, of which at least the mark is there. */
export function markedData(token: Buffer, { target, number }: EchoMark, sizeBytes: number): Buffer {
  const data = Buffer.alloc(Math.max(sizeBytes, ECHO_MARK_BYTES));
  data.set(token);
  data.writeUInt32BE(target, ECHO_TOKEN_BYTES);
  data.writeUInt32BE(number, ECHO_TOKEN_BYTES + 4);
  return data;
}

/** What a raw socket received; undefined: it is not about this call's requests. */
export function answerIn(family: Family, bytes: Buffer, token: Buffer): EchoAnswer | undefined {
  const icmp = decodeIcmp(family, bytes);
  if (icmp === undefined || icmp.identifier !== identifierOf(token)) return undefined;
  if (icmp.kind === "error") {
    const to = ipFromBytes(icmp.to);
    return to && { kind: "error", to, mtuBytes: icmp.mtuBytes };
  }
  const { data } = icmp;
  if (data.length < ECHO_MARK_BYTES || !data.subarray(0, ECHO_TOKEN_BYTES).equals(token)) {
    return undefined;
  }
  return {
    kind: "reply",
    target: data.readUInt32BE(ECHO_TOKEN_BYTES),
    number: data.readUInt32BE(ECHO_TOKEN_BYTES + 4),
    dataBytes: data.length,
  };
}
