// The first thing a joining node does: look at the certificate that a manager shows, and say nothing.
import { createHash, type X509Certificate } from "node:crypto";
import { connect, type TLSSocket } from "node:tls";
import { Role } from "../../proto/gen/types.js";
import { formatHostPort, parseHostPort } from "../address.js";
import { isIssuedBy, readCertificate } from "../certificates.js";
import { messageOf, type Refusal, refuse } from "../fault.js";
import { plain } from "./status.js";

/** Port of the manager's services (Docker's). */
export const MANAGER_PORT = 2377;
// A chain of a Skein manager has two certificates, and four while the root is being rotated.
const CHAIN_LENGTH_MAX = 8;

/**
 * The root certificate (PEM) of the swarm at `addr`, if it is the one the token names and the server
 * proves to be a manager of it. Sends nothing but a TLS handshake. The Refusal names address and cause.
 */
export async function verifySwarmRoot(
  addr: string,
  tokenDigest: Uint8Array,
  timeoutMs: number,
): Promise<Buffer | Refusal> {
  const target = parseHostPort(addr, MANAGER_PORT);
  if (!target) return refuse("invalid-argument", `invalid remote address ${JSON.stringify(addr)}`);
  const shown = formatHostPort(target);
  const leaf = await presented(target.host, target.port, timeoutMs);
  if (typeof leaf === "string") {
    return refuse("unavailable", `cannot reach a manager: dial tcp ${shown}: ${leaf}`);
  }
  const wanted = Buffer.from(tokenDigest);
  const chain = chainOf(leaf);
  const root = chain.find((certificate) => digest(certificate).equals(wanted));
  if (!root) {
    const facts = readCertificate(leaf.raw);
    if (!facts) return refuse("unavailable", `${shown} is not a Skein manager`);
    const hex = wanted.toString("hex");
    return refuse("failed-precondition", `remote CA does not match fingerprint. Expected: ${hex}`);
  }
  const shownChain = Buffer.from(chain.map(String).join("\n"));
  if (!isIssuedBy(shownChain, Buffer.from(root.toString()), Date.now())) {
    return refuse(
      "failed-precondition",
      `the certificate of ${shown} was not issued by its swarm, or this machine's clock is wrong`,
    );
  }
  if (readCertificate(leaf.raw)?.role !== Role.MANAGER) {
    return refuse("failed-precondition", `${shown} is not a manager of its swarm`);
  }
  return Buffer.from(root.toString());
}

/** The certificate that the server shows, or why there is none. */
function presented(
  host: string,
  port: number,
  timeoutMs: number,
): Promise<X509Certificate | string> {
  return new Promise((resolve) => {
    const finish = (outcome: X509Certificate | string) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(outcome);
    };
    // What is wrong with the chain is for the caller above to say, in terms of the token.
    const socket: TLSSocket = connect({
      host,
      port,
      rejectUnauthorized: false,
      // None of the public authorities, which Node would otherwise load, 25 ms each time, to no end.
      ca: [],
      ALPNProtocols: ["h2"],
    });
    const timer = setTimeout(() => finish("i/o timeout"), timeoutMs);
    socket.once("error", (error) => finish(dialError(error)));
    socket.once("close", () => finish("connection closed during the TLS handshake"));
    socket.once("secureConnect", () => {
      finish(socket.getPeerX509Certificate() ?? "it showed no certificate");
    });
  });
}

function dialError(error: Error): string {
  const text = `${(error as NodeJS.ErrnoException).code ?? ""} ${messageOf(error)}`;
  const words = plain(text);
  if (words !== text) return words === "no such host" ? words : `connect: ${words}`;
  return /ssl|tls|wrong version|packet length/i.test(text)
    ? "it does not speak TLS"
    : messageOf(error);
}

function chainOf(leaf: X509Certificate): readonly X509Certificate[] {
  const chain: X509Certificate[] = [];
  let next: X509Certificate | undefined = leaf;
  while (next && chain.length < CHAIN_LENGTH_MAX) {
    chain.push(next);
    next = next.issuerCertificate;
  }
  return chain;
}

function digest(certificate: X509Certificate): Buffer {
  return createHash("sha256").update(certificate.raw).digest();
}
