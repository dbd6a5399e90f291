// What the resolver touches: sockets in sandboxes, questions to other resolvers, the machine's resolv.conf.
// agent/kernel has the real one.
import type { Transport } from "./reply.js";

/** Where 127.0.0.11 answers inside a sandbox: port 53 is led there by the sandbox's own table. */
export interface NamePorts {
  readonly udp: number;
  readonly tcp: number;
}

/** Answers at once or later, by calling `reply` once or never. Must not throw. */
export type AnswerName = (
  question: Buffer,
  transport: Transport,
  reply: (answer: Buffer) => void,
) => void;

export interface NameSockets {
  readonly ports: NamePorts;
  /** Closes both and what is connected. */
  close(): void;
}

/** Where a question goes. */
export interface NameServer {
  /** May have a zone: "fe80::1%eth0". */
  readonly address: string;
  /** The namespace from which it is asked; undefined: the machine's. */
  readonly netns: string | undefined;
}

export interface NameDoor {
  /** What tells the namespace at the path from another one there later; undefined: there is none now. */
  identity(netns: string): string | undefined;
  /**
   * Opens UDP and TCP on 127.0.0.11 in the namespace, on the same two ports each time if they are free, so
   * that a redirect that an earlier agent left leads here again. Throws if there is no loopback interface.
   */
  listen(netns: string, answer: AnswerName, broken: (error: Error) => void): NameSockets;
  /**
   * Sends the message from a port that nobody can guess. `heard` gets whatever that server, and only it,
   * sends back, which over UDP may be several; `failed` once at most, if nothing more can come. The result
   * ends it.
   */
  ask(
    server: NameServer,
    message: Buffer,
    transport: Transport,
    heard: (answer: Buffer) => void,
    failed: () => void,
  ): () => void;
  /** The texts as they are now; looked at again only when a file has changed. */
  machine(): { readonly resolvConf: string; readonly real: string | undefined };
}
