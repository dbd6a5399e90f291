// What the agent and its helper for a container's files (path-helper.ts) say to each other: one request
// on descriptor 3, one answer on descriptor 4; a tar goes in at standard input and out at standard output.
import type { RefusalCode } from "../../common/fault.js";
import type { PathStat } from "../seams.js";

export interface PathRequest {
  readonly operation: "stat" | "read" | "write";
  readonly path: string;
  readonly keepKinds: boolean;
  readonly root: PathRoot;
  /** Where nothing may be written, as Docker says it. */
  readonly readOnlyRoot: boolean;
  readonly volumes: readonly { readonly target: string; readonly readOnly: boolean }[];
}

export type PathRoot =
  /** Of a container that runs: what it sees. */
  | { readonly kind: "process"; readonly pid: number }
  /** Of one that does not: its layers, and its volumes, mounted in a namespace of the helper's own. */
  | {
      readonly kind: "mounts";
      readonly folder: string;
      readonly rootfs: {
        readonly type: string;
        readonly source: string;
        readonly options: readonly string[];
      };
      readonly binds: readonly { readonly source: string; readonly target: string }[];
    };

export type PathAnswer =
  | { readonly kind: "done"; readonly stat?: PathStat }
  | { readonly kind: "refused"; readonly code: RefusalCode; readonly message: string }
  /** There is nothing at the path. */
  | { readonly kind: "missing" }
  | { readonly kind: "failed"; readonly message: string };
