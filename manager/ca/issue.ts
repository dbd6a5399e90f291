// Who may be whom. A node that shows a certificate of this swarm stays the node it is, with the role
// the store gives it now; one that knows a join secret becomes a new node; nobody else gets anything.
import { isRefusal, type Refusal, refuse } from "../../common/fault.js";
import { parseJoinToken, sameSecret } from "../../common/join-token.js";
import { type Cluster, type Node, Role } from "../../proto/gen/types.js";
import { isBarred, removedWords } from "./barred.js";

export { CERT_LIFE_MIN_MS, CERT_LIFE_MS, certLifeMs } from "./cert-life.js";

export type IssueDecision =
  | { readonly kind: "join"; readonly role: Role }
  | { readonly kind: "renew"; readonly nodeId: string; readonly role: Role };

export interface IssueQuestion {
  readonly token: string;
  /** SHA-256 of this swarm's root certificate. */
  readonly rootDigest: Uint8Array;
  /** Who asks, by certificate; for a forwarded request the node that the follower authenticated. */
  readonly callerNodeId: string | undefined;
}

export function decideIssue(
  cluster: Cluster,
  findNode: (id: string) => Node | undefined,
  question: IssueQuestion,
): IssueDecision | Refusal {
  // A token is an explicit wish to join anew, also by a machine that still holds an old certificate.
  if (question.token !== "") return byToken(cluster, question);
  const { callerNodeId } = question;
  if (callerNodeId === undefined) return WRONG_TOKEN;
  const node = findNode(callerNodeId);
  if (isBarred(cluster, callerNodeId) || !node) {
    return refuse("permission-denied", removedWords(callerNodeId));
  }
  // A promoted node needs the new role in its certificate before it can be a manager; a demoted one
  // keeps the manager's for as long as it has a seat in the Raft group.
  const manages = node.spec?.role === Role.MANAGER || node.manager !== undefined;
  return { kind: "renew", nodeId: node.id, role: manages ? Role.MANAGER : Role.WORKER };
}

function byToken(cluster: Cluster, question: IssueQuestion): IssueDecision | Refusal {
  const token = parseJoinToken(question.token);
  const secrets = cluster.joinSecrets;
  if (isRefusal(token)) return token;
  if (!secrets || !Buffer.from(token.rootDigest).equals(question.rootDigest)) return WRONG_TOKEN;
  // Both are always compared, so that the time taken says nothing about which came close.
  const manager = sameSecret(token.secret, secrets.manager);
  const worker = sameSecret(token.secret, secrets.worker);
  if (manager) return { kind: "join", role: Role.MANAGER };
  return worker ? { kind: "join", role: Role.WORKER } : WRONG_TOKEN;
}

// Docker's words and code (swarmkit ca/server.go), for a wrong, a rotated and a missing one alike.
const WRONG_TOKEN = refuse(
  "invalid-argument",
  "A valid join token is necessary to join this cluster",
);
