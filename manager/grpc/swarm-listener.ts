// The TCP and TLS of port 2377: who gets in as far as a handshake, and for how long somebody may stay who
// shows no certificate of this swarm. What such a stranger can cost is bounded here: memory by their
// number, time by a deadline, and everything else by a counter. Knows nothing of gRPC.

import type { Socket } from "node:net";
import { createServer, type Server, type TLSSocket } from "node:tls";
import { parseHostPort, parseIp } from "../../common/address.js";
import { identityOf } from "../../common/certificates.js";
import { Fault, messageOf } from "../../common/fault.js";
import type { Identity, PortCounters } from "../../proto/gen/admin.js";
import { RAFT_PROTOCOL } from "../wire/raft-frames.js";

// Choice: a joining node needs two connections for a second or so each; hundreds may join at once.
const STRANGERS_MAX = 512;
// Choice: a handshake, a certificate request and its fsync on a slow machine.
const STRANGER_MS = 10_000;
// Choice: what a node is told of its removal gets out before its connections end; new calls are refused meanwhile.
const CUT_MS = 250;

export interface SwarmListenerOptions {
  readonly listenAddr: string;
  readonly identity: Identity;
  /** How much slower than usual this machine is (1 to 100). */
  readonly scale: number;
  readonly strangersMax?: number;
  readonly strangerMs?: number;
  /** A certificate that TLS takes and the swarm does not: who shows it stays a stranger. */
  readonly isBarred: (nodeId: string) => boolean;
  /** TLS is done, and gRPC follows; whether the peer proved to be of this swarm is the socket's `authorized`. */
  readonly onSocket: (socket: TLSSocket) => void;
  /** The same, and Raft's messages follow. */
  readonly onRaft: (socket: TLSSocket) => void;
}

export interface SwarmListener {
  readonly port: number;
  counters(): PortCounters;
  /** New connections are shown this identity from now on. */
  renew(identity: Identity): void;
  /** Ends the connections of those who are barred by now, a moment later: streams and calls with them. */
  cutBarred(): void;
  /** Accepts nobody any more. */
  stop(): void;
  /** Ends the connections that are left. */
  destroy(): void;
}

/** Fault LISTEN names address and cause. */
export async function listenForSwarm(options: SwarmListenerOptions): Promise<SwarmListener> {
  const strangersMax = options.strangersMax ?? STRANGERS_MAX;
  const strangerMs = (options.strangerMs ?? STRANGER_MS) * options.scale;
  const open = new Set<Socket>();
  // Oldest first: a Map keeps the order in which its keys came.
  const strangers = new Map<Socket, NodeJS.Timeout>();
  const proven = new Map<TLSSocket, string>();
  const counts = { accepted: 0, handshakesFailed: 0, strangersLate: 0, strangersCrowded: 0 };
  // `rejectUnauthorized: false`: a joining node has no certificate yet. Whether the peer's chain verified
  // is asked of each call instead (peerIdentity), so that "none" can be told from "a wrong one".
  const server = createServer({
    ...contextOf(options.identity),
    requestCert: true,
    rejectUnauthorized: false,
    ALPNProtocols: ["h2", RAFT_PROTOCOL],
    noDelay: true,
    handshakeTimeout: strangerMs,
  });

  const forget = (socket: Socket) => {
    clearTimeout(strangers.get(socket));
    strangers.delete(socket);
  };
  server.on("connection", (socket: Socket) => {
    counts.accepted++;
    open.add(socket);
    if (strangers.size >= strangersMax) {
      // The oldest goes and not the newest: those who only sit here must not keep the swarm's nodes out.
      const [oldest] = strangers.keys();
      counts.strangersCrowded++;
      oldest?.destroy();
      if (oldest) forget(oldest);
    }
    const late = setTimeout(() => {
      counts.strangersLate++;
      socket.destroy();
    }, strangerMs);
    strangers.set(socket, late);
    // Errors of a raw socket come out of the TLS socket on it too, where they are counted.
    socket.on("error", () => {});
    socket.once("close", () => {
      open.delete(socket);
      forget(socket);
    });
  });
  server.on("tlsClientError", (_error, socket) => {
    counts.handshakesFailed++;
    socket.destroy();
  });
  server.on("secureConnection", (socket) => {
    socket.on("error", () => {});
    const nodeId = provenNodeId(socket);
    if (nodeId !== undefined && !options.isBarred(nodeId)) {
      proven.set(socket, nodeId);
      socket.once("close", () => proven.delete(socket));
      const raw = rawOf(socket, strangers.keys());
      if (raw) forget(raw);
    }
    if (socket.alpnProtocol === "h2") return options.onSocket(socket);
    if (socket.alpnProtocol === RAFT_PROTOCOL) return options.onRaft(socket);
    counts.handshakesFailed++;
    socket.destroy();
  });
  const port = await listen(server, options.listenAddr);
  return {
    port,
    counters: () => ({ ...counts, open: open.size, strangers: strangers.size }),
    renew: (identity) => server.setSecureContext(contextOf(identity)),
    cutBarred() {
      for (const [socket, nodeId] of proven) {
        if (!options.isBarred(nodeId)) continue;
        proven.delete(socket);
        setTimeout(() => socket.destroy(), CUT_MS).unref();
      }
    },
    stop: () => void server.close(),
    destroy() {
      for (const socket of open) socket.destroy();
    },
  };
}

/** Undefined: nothing was proven that is worth anything here. */
function provenNodeId(socket: TLSSocket): string | undefined {
  return socket.authorized ? identityOf(socket.getPeerCertificate().subject)?.nodeId : undefined;
}

/** The TCP connection below a TLS socket: Node does not say, but both have the same two ends. */
function rawOf(socket: TLSSocket, among: Iterable<Socket>): Socket | undefined {
  for (const raw of among) {
    if (raw.remotePort === socket.remotePort && raw.remoteAddress === socket.remoteAddress) {
      return raw;
    }
  }
  return undefined;
}

function listen(server: Server, addr: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const fail = (error: unknown) =>
      reject(new Fault("LISTEN", { addr, why: bindWords(messageOf(error)) }, error));
    const target = parseHostPort(addr, 0);
    if (target === undefined) return fail(new Error("not an address"));
    server.once("error", fail);
    server.listen({ ...hostOf(target.host), port: target.port }, () => {
      server.off("error", fail);
      // An error of accept(2) (too many open files) passes; the listener goes on.
      server.on("error", () => {});
      const bound = server.address();
      resolve(bound !== null && typeof bound === "object" ? bound.port : 0);
    });
  });
}

/**
 * Every address means of both families, as it does in Go, and so in Docker. Node's words for that are to name no
 * host: "::" for both, and "0.0.0.0" where the kernel has no IPv6.
 */
function hostOf(host: string): { readonly host?: string } {
  const ip = parseIp(host);
  return ip?.value === 0n ? {} : { host };
}

/** bind(2)'s reasons in the words that Docker prints. */
export function bindWords(message: string): string {
  if (message.includes("EADDRINUSE")) return "bind: address already in use";
  if (message.includes("EACCES")) return "bind: permission denied";
  if (message.includes("EADDRNOTAVAIL")) return "bind: cannot assign requested address";
  return message;
}

function contextOf(identity: Identity) {
  return {
    ca: Buffer.from(identity.rootCaCert),
    // The root goes with the leaf: a joiner compares it with the digest in its token.
    cert: Buffer.concat([Buffer.from(identity.certificate), Buffer.from(identity.rootCaCert)]),
    key: Buffer.from(identity.privateKey),
    minVersion: "TLSv1.3" as const,
  };
}
