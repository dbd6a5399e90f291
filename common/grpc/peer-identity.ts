// Who is calling, as TLS has proven it.
import type { TLSSocket } from "node:tls";
import {
  type Metadata,
  ServerInterceptingCall,
  type ServerInterceptor,
  type StatusObject,
} from "@grpc/grpc-js";
import { BACKDATE_MS, identityOf, type ProvenPeer } from "../certificates.js";
import { type Refusal, Refused } from "../fault.js";
import { statusOf } from "./status.js";

interface Authenticated {
  getAuthContext(): {
    readonly sslPeerCertificate?:
      | { readonly subject: object; readonly valid_from: string }
      | undefined;
  };
}

/** The verified caller; undefined without a certificate, or with one that is not of this swarm's root. */
export function peerIdentity(call: Authenticated): ProvenPeer | undefined {
  // grpc-js fills the context only if the TLS stack verified the chain.
  const certificate = call.getAuthContext().sslPeerCertificate;
  const identity = certificate && identityOf(certificate.subject);
  if (!identity) return undefined;
  return { ...identity, issuedMs: Date.parse(certificate.valid_from) + BACKDATE_MS };
}

/** The same of a connection that carries no gRPC. */
export function socketIdentity(socket: TLSSocket): ProvenPeer | undefined {
  const sslPeerCertificate = socket.authorized ? socket.getPeerCertificate() : undefined;
  return peerIdentity({ getAuthContext: () => ({ sslPeerCertificate }) });
}

/** Asks `admit` about each call before any handler, or any byte of its messages, is looked at. */
export function admissionInterceptor(
  admit: (path: string, peer: ProvenPeer | undefined) => Refusal | undefined,
): ServerInterceptor {
  return (methodDescriptor, call) => {
    const refusal = admit(methodDescriptor.path, peerIdentity(call));
    if (!refusal) return new ServerInterceptingCall(call);
    return new ServerInterceptingCall(call, {
      // Not starting the call below means that the handler never hears of it.
      start() {
        const { code, details, metadata } = statusOf(new Refused(refusal));
        call.sendStatus({ code, details, metadata: metadata as Metadata } as StatusObject);
      },
    });
  };
}
