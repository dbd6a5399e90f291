// The sockets of the resolver. Those of a sandbox are opened while the thread is in its namespace, synchronously,
// and used from outside: a socket stays in the namespace that it was made in.
import { createSocket, type Socket as DgramSocket } from "node:dgram";
import { closeSync, readFileSync, statSync } from "node:fs";
import { connect, createServer, isIPv6, type Server, Socket } from "node:net";
import { type Ip, parseIp } from "../../common/address.js";
import { EADDRINUSE } from "../../common/errno.js";
import { SystemError } from "../../common/libc.js";
import type { AnswerName, NameDoor, NamePorts, NameServer, NameSockets } from "../dns/door.js";
import type { Transport } from "../dns/reply.js";
import { REAL_RESOLV_CONF, RESOLV_CONF } from "../dns/upstreams.js";
import { AF_INET, AF_INET6 } from "../netlink/constants.js";
import {
  bind,
  listen as listenOn,
  preparedSocket,
  SO_RCVBUF,
  SO_REUSEADDR,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
  setsockopt,
  socket,
  startConnect,
} from "./libc.js";
import { isNamespace, namespaceId, within } from "./namespace.js";
import { socketAddress } from "./socket-address.js";

/** 127.0.0.11, as Docker's, which people have in their heads and in their files. */
const NAME_IP: Ip = { family: 4, value: 0x7f00000bn };
/**
 * Choice: below the ports that the kernel gives away by itself, and registered for nothing; a program inside
 * that wants it on every address gets another one of us at the agent's next start. 53 itself is left to
 * programs inside, which may be a DNS server.
 */
const PORT_WANTED = 26_553;
const DNS_PORT = 53;
// Choice: a client that has nothing to say for so long has forgotten us (RFC 7766 section 6.2.3).
const IDLE_MS = 10_000;
// Choice: of one sandbox at once. More wait in the kernel's queue.
const CONNECTIONS_MAX = 128;
const BACKLOG = 128;
// Choice: what comes while the agent does something else for a moment.
const RECEIVE_BYTES = 1 << 20;
const TCP_BYTES_MAX = 2 + 65_535;

export function nameDoor(): NameDoor {
  const resolvConf = followed(RESOLV_CONF);
  const real = followed(REAL_RESOLV_CONF);
  return {
    identity: (netns) => (isNamespace(netns) ? namespaceId(netns) : undefined),
    listen,
    ask,
    machine: () => ({ resolvConf: resolvConf() ?? "", real: real() }),
  };
}

// ---- In a sandbox

function listen(netns: string, answer: AnswerName, broken: (error: Error) => void): NameSockets {
  const { udp, tcp, ports } = within(netns, openBoth);
  const udpSocket = serveUdp(udp, answer, broken);
  const server = serveTcp(tcp, answer, broken);
  return {
    ports,
    close() {
      udpSocket.close();
      server.close();
    },
  };
}

function openBoth(): { readonly udp: number; readonly tcp: number; readonly ports: NamePorts } {
  const udp = open(SOCK_DGRAM);
  try {
    const tcp = open(SOCK_STREAM);
    return { udp: udp.fd, tcp: tcp.fd, ports: { udp: udp.port, tcp: tcp.port } };
  } catch (error) {
    closeSync(udp.fd);
    throw error;
  }
}

function open(kind: number): { readonly fd: number; readonly port: number } {
  let port = 0;
  const fd = preparedSocket(AF_INET, kind | SOCK_NONBLOCK, 0, (made) => {
    if (kind === SOCK_DGRAM) setsockopt(made, SOL_SOCKET, SO_RCVBUF, RECEIVE_BYTES);
    // Connections of an earlier agent are no hindrance.
    else setsockopt(made, SOL_SOCKET, SO_REUSEADDR, 1);
    port = bindSomewhere(made);
    if (kind === SOCK_STREAM) listenOn(made, BACKLOG);
  });
  return { fd, port };
}

// Choice: how many ports after the wanted one are tried.
const PORTS_TRIED = 64;

function bindSomewhere(fd: number): number {
  for (let port = PORT_WANTED; port < PORT_WANTED + PORTS_TRIED; port++) {
    try {
      bind(fd, socketAddress(NAME_IP, port));
      return port;
    } catch (error) {
      if (!(error instanceof SystemError) || error.errno !== EADDRINUSE) throw error;
    }
  }
  throw new SystemError("bind", EADDRINUSE);
}

function serveUdp(fd: number, answer: AnswerName, broken: (error: Error) => void): DgramSocket {
  // The addresses of those who ask are numbers: nothing has to be looked up, nor put off for it.
  const made = createSocket({ type: "udp4", lookup: (host, _, done) => done(null, host, 4) });
  made.on("message", (message, from) => {
    answer(message, "udp", (bytes) => {
      // Who asked may be gone: without a callback nobody is told.
      if (isOpen) made.send(bytes, from.port, from.address);
    });
  });
  let isOpen = true;
  made.on("close", () => {
    isOpen = false;
  });
  made.on("error", broken);
  made.bind({ fd });
  return made;
}

function serveTcp(fd: number, answer: AnswerName, broken: (error: Error) => void): Server {
  const open = new Set<Socket>();
  const server = createServer({ noDelay: true }, (connection) => {
    open.add(connection);
    connection.on("close", () => open.delete(connection));
    connection.on("error", () => connection.destroy());
    connection.setTimeout(IDLE_MS, () => connection.destroy());
    converse(connection, answer);
  });
  server.maxConnections = CONNECTIONS_MAX;
  server.on("error", broken);
  server.on("close", ignore);
  server.listen({ fd });
  const close = server.close.bind(server);
  server.close = (done) => {
    for (const connection of open) connection.destroy();
    return close(done);
  };
  return server;
}

/** RFC 1035 section 4.2.2: two bytes of length before each message. One at a time, in their order. */
function converse(connection: Socket, answer: AnswerName): void {
  const inbox = new Frames();
  let isAsking = false;
  const next = () => {
    if (isAsking || connection.destroyed) return;
    const message = inbox.take();
    if (message === undefined) return void connection.resume();
    isAsking = true;
    connection.pause();
    answer(message, "tcp", (bytes) => {
      isAsking = false;
      connection.write(framed(bytes));
      setImmediate(next);
    });
    // What is no question gets no answer, and who sent it no further hearing: the silence ends it.
  };
  connection.on("data", (chunk) => {
    if (inbox.put(chunk)) next();
    else connection.destroy();
  });
}

class Frames {
  #bytes: Buffer = Buffer.alloc(0);

  /** Whether it still can be a conversation. */
  put(chunk: Buffer): boolean {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
    return this.#bytes.length <= 2 * TCP_BYTES_MAX;
  }

  take(): Buffer | undefined {
    if (this.#bytes.length < 2) return undefined;
    const end = 2 + this.#bytes.readUInt16BE(0);
    if (this.#bytes.length < end) return undefined;
    const message = this.#bytes.subarray(2, end);
    this.#bytes = this.#bytes.subarray(end);
    return message;
  }
}

function framed(message: Buffer): Buffer {
  const out = Buffer.allocUnsafe(2 + message.length);
  out.writeUInt16BE(message.length, 0);
  message.copy(out, 2);
  return out;
}

// ---- To others

function ask(
  server: NameServer,
  message: Buffer,
  transport: Transport,
  heard: (answer: Buffer) => void,
  failed: () => void,
): () => void {
  try {
    return transport === "udp"
      ? askUdp(server, message, heard, failed)
      : askTcp(server, message, heard, failed);
  } catch {
    // No descriptors left, or the namespace is gone.
    setImmediate(failed);
    return ignore;
  }
}

function askUdp(
  { address, netns }: NameServer,
  message: Buffer,
  heard: (answer: Buffer) => void,
  failed: () => void,
): () => void {
  const isSix = isIPv6(address);
  const made = createSocket({
    type: isSix ? "udp6" : "udp4",
    lookup: (host, _, done) => done(null, host, isSix ? 6 : 4),
  });
  let isOpen = true;
  const close = () => {
    if (isOpen) made.close();
    isOpen = false;
  };
  made.on("message", (answer) => {
    if (isOpen) heard(answer);
  });
  const fail = () => {
    if (!isOpen) return;
    close();
    failed();
  };
  // Also a port that nobody listens on: told by ICMP, since the socket is connected.
  made.on("error", fail);
  const send = () => {
    if (!isOpen) return;
    // As Node has it, and its types do not: what prevents it (no route) comes with the call.
    const connected = (error?: Error) => {
      if (error) fail();
      else if (isOpen) made.send(message, (cannot) => void (cannot && fail()));
    };
    made.connect(DNS_PORT, address, connected);
  };
  if (netns === undefined) send();
  else {
    const family = isSix ? AF_INET6 : AF_INET;
    const kind = SOCK_DGRAM | SOCK_NONBLOCK;
    const fd = within(netns, () => socket(family, kind, 0));
    made.bind({ fd }, send);
  }
  return close;
}

function askTcp(
  { address, netns }: NameServer,
  message: Buffer,
  heard: (answer: Buffer) => void,
  failed: () => void,
): () => void {
  const connection =
    netns === undefined
      ? connect({ host: address, port: DNS_PORT, noDelay: true })
      : new Socket({ fd: within(netns, () => connecting(address)) });
  const inbox = new Frames();
  let isOpen = true;
  const end = () => {
    if (!isOpen) return;
    isOpen = false;
    connection.destroy();
    failed();
  };
  connection.on("error", end);
  connection.on("end", end);
  connection.on("close", end);
  connection.on("data", (chunk) => {
    if (!inbox.put(chunk)) return end();
    for (let answer = inbox.take(); answer !== undefined; answer = inbox.take()) {
      if (isOpen) heard(answer);
    }
  });
  connection.write(framed(message));
  return () => {
    isOpen = false;
    connection.destroy();
  };
}

/** A socket that is on its way; what becomes of it is told when it is written to. */
function connecting(address: string): number {
  const ip = parseIp(address);
  if (ip === undefined) throw new Error(`${address} is no address`);
  const family = ip.family === 4 ? AF_INET : AF_INET6;
  return preparedSocket(family, SOCK_STREAM | SOCK_NONBLOCK, 0, (fd) =>
    startConnect(fd, socketAddress(ip, DNS_PORT)),
  );
}

// ---- The machine

/** A file's text, read again when it is another file or was changed. */
function followed(path: string): () => string | undefined {
  let seen = "";
  let text: string | undefined;
  return () => {
    try {
      const { dev, ino, mtimeMs, size } = statSync(path);
      const now = `${dev} ${ino} ${mtimeMs} ${size}`;
      if (now !== seen) text = readFileSync(path, "utf8");
      seen = now;
    } catch {
      seen = "";
      text = undefined;
    }
    return text;
  };
}

function ignore(): void {}
