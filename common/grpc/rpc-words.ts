// A refusal in the words that gRPC's Go library puts around it. dockerd shows errors of its managers so,
// and scripts match on them.
import type { Refusal, RefusalCode } from "../fault.js";

// google.golang.org/grpc/codes, codes_string.go.
const GO_NAME: Readonly<Record<RefusalCode, string>> = {
  "invalid-argument": "InvalidArgument",
  "not-found": "NotFound",
  "already-exists": "AlreadyExists",
  "failed-precondition": "FailedPrecondition",
  "permission-denied": "PermissionDenied",
  "resource-exhausted": "ResourceExhausted",
  unavailable: "Unavailable",
  unimplemented: "Unimplemented",
};

/** "rpc error: code = NotFound desc = network web not found" */
export function rpcWords(refusal: Refusal): string {
  return `rpc error: code = ${GO_NAME[refusal.code]} desc = ${refusal.message}`;
}
