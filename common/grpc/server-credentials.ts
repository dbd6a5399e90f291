// The server's side of mutual TLS on 2377. A client without a certificate completes the handshake,
// because a joining node has none yet; the interceptor then lets it reach one method.
import { ServerCredentials } from "@grpc/grpc-js";
import type { Identity } from "../../proto/gen/admin.js";

/** Credentials that can change while the server runs: new connections use the latest identity. */
export class SwarmServerCredentials extends ServerCredentials {
  constructor(identity: Identity) {
    // `rejectUnauthorized: false`: whether the peer's chain verified is asked of each call instead
    // (peerIdentity), so that "no certificate" can be told from "a wrong one".
    super({ requestCert: true, rejectUnauthorized: false }, contextOf(identity));
  }

  renew(identity: Identity): void {
    this.updateSecureContextOptions(contextOf(identity));
  }

  override _equals(other: ServerCredentials): boolean {
    return other === this;
  }
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
