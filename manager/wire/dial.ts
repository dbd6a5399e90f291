// Connects to another manager for Raft's messages: who we show ourselves as, and whom we accept.
import { connect, type TLSSocket } from "node:tls";
import { parseHostPort } from "../../common/address.js";
import { MANAGER_NAME } from "../../common/certificates.js";
import { Fault } from "../../common/fault.js";
import { MANAGER_PORT } from "../../common/grpc/swarm-root.js";
import type { Identity } from "../../proto/gen/admin.js";
import { KEEPALIVE_MS, RAFT_PROTOCOL } from "./raft-frames.js";

/** TLS itself proves that the other end is a manager of the swarm; until it has, nothing may be said. Fault BAD_ADDRESS. */
export function dialRaft(addr: string, identity: Identity): TLSSocket {
  const target = parseHostPort(addr, MANAGER_PORT);
  if (target === undefined) throw new Fault("BAD_ADDRESS", { addr });
  const socket = connect({
    host: target.host,
    port: target.port,
    ca: Buffer.from(identity.rootCaCert),
    cert: Buffer.from(identity.certificate),
    key: Buffer.from(identity.privateKey),
    servername: MANAGER_NAME,
    ALPNProtocols: [RAFT_PROTOCOL],
    minVersion: "TLSv1.3",
  });
  socket.setNoDelay(true);
  socket.setKeepAlive(true, KEEPALIVE_MS);
  return socket;
}
