// The credentials that `docker login` keeps (~/.docker/config.json, or DOCKER_CONFIG), as the API wants
// them. They go to the agent in a header over its unix socket, and nowhere else.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Cli } from "../cli.js";
import { at, object, parseJson, text } from "../json.js";

const DOCKER_HUB = "https://index.docker.io/v1/";

/** The headers for a request about this image; none when nothing is known of its registry. */
export async function authHeaders(cli: Cli, image: string): Promise<Record<string, string>> {
  const home = cli.env["DOCKER_CONFIG"] ?? join(cli.env["HOME"] ?? "/root", ".docker");
  const config = parseJson(await readFile(join(home, "config.json"), "utf8").catch(() => ""));
  const server = registryOf(image);
  const auths = object(at(config, "auths"));
  const entry = auths[server] ?? auths[`https://${server}`] ?? auths[`https://${server}/v1/`];
  const [username, ...password] = Buffer.from(text(entry, "auth"), "base64")
    .toString("utf8")
    .split(":");
  const identitytoken = text(entry, "identitytoken");
  if ((username ?? "") === "" && identitytoken === "") return {};
  const auth = {
    username,
    ...(identitytoken === "" ? { password: password.join(":") } : { identitytoken }),
    serveraddress: server,
  };
  return { "X-Registry-Auth": Buffer.from(JSON.stringify(auth)).toString("base64url") };
}

/** The first part of a reference is a registry when it looks like a host (distribution/reference). */
function registryOf(image: string): string {
  const [first = "", ...rest] = image.split("/");
  const isHost = rest.length > 0 && (/[.:]/.test(first) || first === "localhost");
  return isHost && first !== "docker.io" ? first : DOCKER_HUB;
}
