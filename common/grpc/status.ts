// Refusals and faults on the wire. A server says a Refusal with its status code, its sentence, and a
// mark, so that a client can tell "the manager says no" from "the link is down", which share codes.
import { Metadata, type ServiceError, type StatusObject, status } from "@grpc/grpc-js";
import { Fault, messageOf, type Refusal, type RefusalCode, Refused, refuse } from "../fault.js";

/** Trailer that marks a status as a Refusal of ours. */
const REFUSAL_MARK = "skein-refusal";
/** Trailer of every refusal by a manager that does not lead. */
const NOT_LEADER = "skein-not-leader";
/** Trailer beside it: the lead was lost in the middle, and the request may have been done. */
const MAYBE_DONE = "skein-maybe-done";
/** Trailer beside it: where the one is that does. Absent if it knows none. */
const LEADER_ADDR = "skein-leader";

const STATUS_OF: Readonly<Record<RefusalCode, status>> = {
  "invalid-argument": status.INVALID_ARGUMENT,
  "not-found": status.NOT_FOUND,
  "already-exists": status.ALREADY_EXISTS,
  "failed-precondition": status.FAILED_PRECONDITION,
  "permission-denied": status.PERMISSION_DENIED,
  "resource-exhausted": status.RESOURCE_EXHAUSTED,
  unavailable: status.UNAVAILABLE,
  unimplemented: status.UNIMPLEMENTED,
};
const CODE_OF = new Map<status, RefusalCode>(
  Object.entries(STATUS_OF).map(([code, number]) => [number, code as RefusalCode]),
);

/** What a server answers. Faults and bugs become INTERNAL: their data is for our log. */
export function statusOf(error: unknown): Partial<StatusObject> & { code: status } {
  if (error instanceof NotLeader) return { ...marked(error.refusal), metadata: error.metadata() };
  if (error instanceof Refused) return marked(error.refusal);
  if (error instanceof Fault) return { code: status.INTERNAL, details: inShort(error) };
  return { code: status.INTERNAL, details: "internal error; see this manager's log" };
}

/** What a client makes of an error of a call to `addr`: the manager's Refusal, or a Fault. */
export function refusalOrFault(error: ServiceError, addr: string): Refusal | Fault {
  const code = CODE_OF.get(error.code);
  if (code && error.metadata?.get(REFUSAL_MARK).length) return refuse(code, error.details);
  if (error.code === status.UNAVAILABLE) {
    const sent = !/No connection established|Failed to connect/.test(error.details);
    return new Fault("RPC_UNREACHABLE", { addr, sent, why: plain(error.details) }, error);
  }
  if (error.code === status.DEADLINE_EXCEEDED) return new Fault("RPC_DEADLINE", { addr }, error);
  if (error.code === status.CANCELLED) return new Fault("RPC_CANCELLED", { addr }, error);
  return new Fault(
    "RPC_FAILED",
    { addr, code: status[error.code], why: plain(error.details) },
    error,
  );
}

/** The leader's address in a refusal by a manager that does not lead. */
export function redirectOf(error: unknown): string | undefined {
  const metadata = (error as Partial<ServiceError> | undefined)?.metadata;
  const [addr] = metadata?.get(LEADER_ADDR) ?? [];
  return typeof addr === "string" && addr !== "" ? addr : undefined;
}

/** The refusal of a manager that does not lead, as it was thrown there; undefined if it is another error. */
export function notLeaderOf(error: ServiceError): NotLeader | undefined {
  const has = (mark: string) => (error.metadata?.get(mark).length ?? 0) > 0;
  return has(NOT_LEADER) ? new NotLeader(redirectOf(error), has(MAYBE_DONE)) : undefined;
}

/** Thrown by a service that only the leader serves. */
export class NotLeader extends Refused {
  constructor(
    readonly leaderAddr: string | undefined,
    readonly maybeDone = false,
  ) {
    super(refuse("failed-precondition", "this manager does not lead the swarm"));
  }

  metadata(): Metadata {
    const metadata = marked(this.refusal).metadata;
    metadata.set(NOT_LEADER, "1");
    if (this.maybeDone) metadata.set(MAYBE_DONE, "1");
    if (this.leaderAddr) metadata.set(LEADER_ADDR, this.leaderAddr);
    return metadata;
  }
}

function marked(refusal: Refusal): { code: status; details: string; metadata: Metadata } {
  const metadata = new Metadata();
  metadata.set(REFUSAL_MARK, refusal.code);
  return { code: STATUS_OF[refusal.code], details: refusal.message, metadata };
}

/** A person may read it at the other end: the code to search the log for, and the cause; no fields. */
function inShort(fault: Fault): string {
  if (!fault.message.startsWith(fault.code)) return fault.message;
  const why = fault.data["why"] ?? (fault.cause === undefined ? "" : messageOf(fault.cause));
  return why === "" ? fault.code : `${fault.code}: ${why}`;
}

/** "connect ECONNREFUSED 10.0.0.1:2377" in the words of connect(2)'s manual page. */
export function plain(details: string): string {
  for (const [code, words] of ERRNO_WORDS) if (details.includes(code)) return words;
  return details.replace(/ ?Resolution note:.*$/s, "");
}

const ERRNO_WORDS: readonly (readonly [string, string])[] = [
  ["ECONNREFUSED", "connection refused"],
  ["EHOSTUNREACH", "no route to host"],
  ["ENETUNREACH", "network is unreachable"],
  ["ETIMEDOUT", "connection timed out"],
  ["ECONNRESET", "connection reset by peer"],
  ["EADDRNOTAVAIL", "cannot assign requested address"],
  ["ENOTFOUND", "no such host"],
  ["EAI_AGAIN", "no such host"],
  ["EACCES", "permission denied"],
  // gRPC's, when the other end has not answered for a while.
  ["Connection dropped", "the connection broke"],
];
