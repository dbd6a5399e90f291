// The certificate library, loaded when it is first needed. Loading takes a fifth of a second and 17 MiB, which a
// daemon that starts with its certificate in hand, most starts, does not have to spend.
import { webcrypto } from "node:crypto";

export type X509 = typeof import("@peculiar/x509");

let loading: Promise<X509> | undefined;

/** The library, ready to use. Called ahead of time, it only makes the first use quick. */
export function loadX509(): Promise<X509> {
  loading ??= load();
  return loading;
}

async function load(): Promise<X509> {
  // The library asks its user to have this polyfill first.
  await import("reflect-metadata");
  const x509 = await import("@peculiar/x509");
  // Node's WebCrypto and the library's types for it come from two different lib files.
  x509.cryptoProvider.set(webcrypto as unknown as Parameters<typeof x509.cryptoProvider.set>[0]);
  return x509;
}
