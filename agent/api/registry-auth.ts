// Credentials for a registry, as the docker CLI sends them: a header of base64url JSON, or the body of a
// login. They are handed on and never kept or logged.
import type { RegistryAuth } from "../seams.js";
import type { Call } from "./call.js";
import { badRequest } from "./http-error.js";
import { type JsonObject, objectOf, parseJson, textIn } from "./json.js";

/** undefined: none were sent, and none are needed for what is public. */
export function registryAuth(call: Call): RegistryAuth | undefined {
  const header = call.header("x-registry-auth");
  if (header === "") return undefined;
  const text = Buffer.from(header, "base64url").toString("utf8");
  let json: JsonObject;
  try {
    json = objectOf(parseJson(text), "AuthConfig");
  } catch {
    throw badRequest("invalid X-Registry-Auth header: it must be base64url of a JSON object");
  }
  const auth = authOf(json);
  const { username, password, identityToken, registryToken } = auth;
  return [username, password, identityToken, registryToken].every((each) => each === "")
    ? undefined
    : auth;
}

export function authOf(json: JsonObject): RegistryAuth {
  const both = Buffer.from(textIn(json, "auth"), "base64").toString("utf8");
  const colon = both.indexOf(":");
  return {
    username: textIn(json, "username") || (colon < 0 ? "" : both.slice(0, colon)),
    password: textIn(json, "password") || (colon < 0 ? "" : both.slice(colon + 1)),
    identityToken: textIn(json, "identitytoken"),
    registryToken: textIn(json, "registrytoken"),
    serverAddress: textIn(json, "serveraddress"),
  };
}
