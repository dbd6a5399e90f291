// What a manager of the benchmark's group is told by its parent, and answers.
import type { Bootstrap } from "../../manager/seams.js";
import type { RaftMember } from "../../proto/gen/raft.js";
import type { Load } from "./load.js";

export const CLUSTER_ID = "bench";

export function nodeIdOf(raftId: number): string {
  return `node${raftId}`;
}

/** What the parent says; every one is answered with an Answer. Buffers go as base64. */
export type Order =
  | {
      readonly kind: "start";
      readonly folder: string;
      readonly bootstrap: Bootstrap;
      readonly addr: string;
      readonly clientAddr: string;
      readonly tls: {
        readonly certificate: string;
        readonly privateKey: string;
        readonly rootCaCert: string;
      };
    }
  | { readonly kind: "add"; readonly member: RaftMember }
  | { readonly kind: "promote"; readonly member: RaftMember }
  | {
      readonly kind: "load";
      readonly what: "propose" | "read";
      readonly inFlight: number;
      readonly ms: number;
    }
  | { readonly kind: "stop" };
export interface Answer {
  readonly members?: readonly RaftMember[];
  readonly load?: Load;
  readonly error?: string;
}
