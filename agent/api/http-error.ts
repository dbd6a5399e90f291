// What went wrong, as an HTTP status and Docker's sentence. Which status a refusal gets depends on who
// refused: dockerd maps its own errors (errdefs/http_helpers.go) and those that came over gRPC
// differently, and shows the latter with the words of gRPC's Go library around them.
import { Fault, messageOf, type Refusal, type RefusalCode, Refused } from "../../common/fault.js";
import { rpcWords } from "../../common/grpc/rpc-words.js";
import { sentenceOf } from "../member/fault-sentence.js";

export class HttpError extends Error {
  constructor(
    readonly status: number,
    message: string,
    /** Whether it is ours to look at: a fault or a bug, not a wrong request. */
    readonly logged = false,
    /** Without the words that gRPC's Go library puts around a manager's. */
    readonly sentence = message,
  ) {
    super(message);
    this.name = "HttpError";
  }
}

const LOCAL_STATUS: Readonly<Record<RefusalCode, number>> = {
  "invalid-argument": 400,
  "not-found": 404,
  "already-exists": 409,
  "failed-precondition": 409,
  "permission-denied": 403,
  "resource-exhausted": 507,
  unavailable: 503,
  unimplemented: 501,
};

// statusCodeFromGRPCError in dockerd; what it does not name is 500.
const RPC_STATUS: Readonly<Record<RefusalCode, number>> = {
  ...LOCAL_STATUS,
  "failed-precondition": 400,
  "resource-exhausted": 500,
};

export function badRequest(message: string): HttpError {
  return new HttpError(400, message);
}

export function notFound(message: string): HttpError {
  return new HttpError(404, message);
}

/** For what this release does not do; `what` begins the sentence. */
export function unserved(what: string): HttpError {
  return new HttpError(501, `${what} not part of this release of Skein`);
}

/** A refusal by a part of this agent. */
export function refusedHere(refusal: Refusal): HttpError {
  return new HttpError(LOCAL_STATUS[refusal.code], refusal.message);
}

/** A refusal by a manager. */
export function refusedByManager(refusal: Refusal): HttpError {
  // swarmkit gives this one no code, and clients compare the sentence with the code in it.
  if (refusal.message === "update out of sequence") {
    return new HttpError(500, "rpc error: code = Unknown desc = update out of sequence");
  }
  return new HttpError(RPC_STATUS[refusal.code], rpcWords(refusal), false, refusal.message);
}

export function httpErrorOf(error: unknown): HttpError {
  if (error instanceof HttpError) return error;
  if (error instanceof Refused) return refusedHere(error.refusal);
  if (error instanceof Fault) return faultOf(error);
  return new HttpError(500, `internal error: ${messageOf(error)}`, true);
}

function faultOf(fault: Fault): HttpError {
  switch (fault.code) {
    case "RPC_UNREACHABLE":
      return new HttpError(503, managerAway(fault), true);
    case "RPC_DEADLINE":
      return new HttpError(
        500,
        "rpc error: code = DeadlineExceeded desc = context deadline exceeded",
        true,
        sentenceOf(fault),
      );
    default:
      return new HttpError(500, sentenceOf(fault), true);
  }
}

function managerAway({ data }: Fault): string {
  const start = `The manager process of this node does not answer (${data["why"] ?? "no connection"}).`;
  return `${start} The agent keeps starting it; its log says why it ended. Another manager may answer meanwhile.`;
}

/** The value, or the refusal thrown as an HTTP error. */
export function here<T>(value: T | Refusal): T {
  if (isRefusalValue(value)) throw refusedHere(value);
  return value;
}

function isRefusalValue(value: unknown): value is Refusal {
  return typeof value === "object" && value !== null && "kind" in value && value.kind === "refusal";
}
