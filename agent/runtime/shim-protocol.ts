// What the agent and a container's supervisor say to each other: frames of task/stdio-frame.ts on a unix
// socket that only root can open. The first frame of a connection says what the connection is for:
//   control   status comes back at once; then requests, and the notice of the end
//   attach    output from then on, and input; the notice of the end is the last frame
//   exec      one more command in the container, with its output, input and end
import type { Exit } from "../task/runtime.js";
import { encodeFrame, NOTICE } from "../task/stdio-frame.js";
import type { Command } from "./launcher.js";
import type { NamespaceWish } from "./namespaces.js";

export type Request =
  | { readonly op: "control" }
  | { readonly op: "attach"; readonly stdin: boolean }
  | { readonly op: "exec"; readonly command: Command }
  | { readonly op: "go"; readonly command: Command; readonly namespaces: NamespaceWish }
  | { readonly op: "signal"; readonly number: number; readonly call: number }
  | { readonly op: "resize"; readonly rows: number; readonly columns: number }
  /** End everything, and yourself. */
  | { readonly op: "destroy" };

export type Notice =
  | {
      readonly event: "status";
      readonly life: number;
      /** 0: prepared, not told to go yet. */
      readonly pid: number;
      readonly atMs: number;
    }
  | { readonly event: "attached" }
  | { readonly event: "started"; readonly pid: number; readonly atMs: number }
  | { readonly event: "failed"; readonly exitCode: number; readonly message: string }
  | { readonly event: "signalled"; readonly call: number; readonly error: string }
  | { readonly event: "exited"; readonly exit: Exit };

export function encodeMessage(message: Request | Notice): Buffer {
  return encodeFrame(NOTICE, Buffer.from(JSON.stringify(message)));
}

/**
 * Both ends are the same release's code of the same machine's root, so the shape is trusted once the
 * text is JSON with the key that tells messages apart.
 */
export function decodeMessage<T extends Request | Notice>(
  payload: Buffer,
  key: "op" | "event",
): T | undefined {
  try {
    const value: unknown = JSON.parse(payload.toString());
    return typeof value === "object" && value !== null && key in value ? (value as T) : undefined;
  } catch {
    return undefined;
  }
}
