// Where a registry is, and whom we trust to be it: the system's certificate authorities, and what an
// administrator put below /etc/docker/certs.d, where Docker looks too.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { rootCertificates } from "node:tls";
import { isLoopback } from "../oci/challenge.js";
import { DEFAULT_DOMAIN } from "../oci/reference.js";
import type { Tls } from "./transport.js";

/** What "docker.io" is when it is asked. */
const HUB = "registry-1.docker.io";
const CERTS_FOLDERS = ["/etc/docker/certs.d", "/etc/containerd/certs.d"];
// Debian's; the others have it there or as a link.
const SYSTEM_BUNDLES = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];

export interface RegistryHost {
  readonly host: string;
  /** Plain HTTP is tried first: it is this machine, and nobody has given it a certificate. */
  readonly plainFirst: boolean;
  readonly tls: Tls;
}

export function registryHost(domain: string): RegistryHost {
  const host = domain === DEFAULT_DOMAIN ? HUB : domain;
  const own = ownCertificates(domain);
  const name = host.replace(/:\d+$/, "");
  const loopback = isLoopback(name);
  const trusted = own.ca.length > 0;
  const { cert, key } = own;
  return {
    host,
    plainFirst: loopback && !trusted,
    tls: {
      ca: [...systemAuthorities(), ...own.ca],
      // As Docker: a registry on loopback needs no certificate that somebody vouches for.
      rejectUnauthorized: !loopback || trusted,
      ...(cert !== undefined && key !== undefined && { cert, key }),
    },
  };
}

function ownCertificates(domain: string) {
  const ca: string[] = [];
  let pair: { readonly cert: string; readonly key: string } | undefined;
  for (const folder of CERTS_FOLDERS) {
    const path = join(folder, domain);
    for (const name of filesIn(path)) {
      if (name.endsWith(".crt")) ca.push(readFileSync(join(path, name), "utf8"));
      if (!name.endsWith(".cert")) continue;
      const [cert, key] = [name, name.replace(/\.cert$/, ".key")].map((each) =>
        textOf(join(path, each)),
      );
      if (cert !== undefined && key !== undefined) pair = { cert, key };
    }
  }
  return { ca, cert: pair?.cert, key: pair?.key };
}

function systemAuthorities(): readonly string[] {
  for (const path of SYSTEM_BUNDLES) {
    const bundle = textOf(path);
    if (bundle !== undefined) return [bundle];
  }
  return rootCertificates;
}

function filesIn(path: string): readonly string[] {
  try {
    return readdirSync(path).sort();
  } catch {
    return [];
  }
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
