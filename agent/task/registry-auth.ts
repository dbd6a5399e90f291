// X-Registry-Auth: JSON in base64, of either alphabet (engine-api.yaml, "Authentication").
import type { RegistryAuth } from "../seams.js";

const BYTES_MAX = 64 * 1024;

/** Undefined when it is none: the registry is then asked without, as Docker does. */
export function parseRegistryAuth(text: string): RegistryAuth | undefined {
  if (text === "" || text.length > BYTES_MAX) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(text, "base64").toString("utf8"));
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const fields = value as Readonly<Record<string, unknown>>;
  const of = (name: string) => {
    const field = fields[name];
    return typeof field === "string" ? field : "";
  };
  const auth = {
    username: of("username"),
    password: of("password"),
    identityToken: of("identitytoken"),
    registryToken: of("registrytoken"),
    serverAddress: of("serveraddress"),
  };
  return Object.values(auth).some((part) => part !== "") ? auth : undefined;
}
