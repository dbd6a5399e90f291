// What a route answers: data for `respond.ts` to write, so that routes can be tested without a socket.
import type { Duplex } from "node:stream";

export type Answer =
  | { readonly kind: "json"; readonly status: number; readonly value: unknown }
  | { readonly kind: "empty"; readonly status: number }
  | {
      readonly kind: "text";
      readonly status: number;
      readonly contentType: string;
      readonly text: string;
      readonly headers: Readonly<Record<string, string>>;
    }
  /** Headers go out at once, then each chunk as it comes. */
  | {
      readonly kind: "stream";
      readonly contentType: string;
      readonly chunks: AsyncIterable<string | Uint8Array>;
      readonly headers?: Readonly<Record<string, string>>;
    }
  /** The connection itself becomes the stream, both ways. */
  | { readonly kind: "hijack"; readonly contentType: string; readonly stream: Duplex };

export function json(value: unknown, status = 200): Answer {
  return { kind: "json", status, value };
}

export function empty(status: number): Answer {
  return { kind: "empty", status };
}

export function text(
  body: string,
  contentType = "text/plain; charset=utf-8",
  headers: Readonly<Record<string, string>> = {},
): Answer {
  return { kind: "text", status: 200, contentType, text: body, headers };
}

export function stream(
  contentType: string,
  chunks: AsyncIterable<string | Uint8Array>,
  headers: Readonly<Record<string, string>> = {},
): Answer {
  return { kind: "stream", contentType, chunks, headers };
}
