// --external-ca protocol=cfssl,url=https://…[,cacert=FILE][,KEY=VALUE…] → Docker's ExternalCA. The words
// are docker/cli's (cli/command/swarm/opts.go).
import { readFileSync } from "node:fs";
import { messageOf } from "../../common/fault.js";
import { Failure } from "../cli.js";
import type { JsonObject } from "../json.js";

export function parseExternalCa(spec: string): JsonObject {
  const options: Record<string, string> = {};
  let protocol = "";
  let url = "";
  let cert = "";
  for (const field of spec.split(",")) {
    const at = field.indexOf("=");
    if (at < 0) throw wrong(spec, `invalid field '${field}' must be a key=value pair`);
    const [key, value] = [field.slice(0, at), field.slice(at + 1)];
    switch (key.toLowerCase()) {
      case "protocol":
        protocol = value.toLowerCase();
        if (protocol !== "cfssl") throw wrong(spec, `unrecognized external CA protocol ${value}`);
        break;
      case "url":
        url = value;
        break;
      case "cacert":
        cert = readPem(spec, value);
        break;
      default:
        options[key] = value;
    }
  }
  if (protocol === "") throw wrong(spec, "the external-ca option needs a protocol= parameter");
  if (url === "") throw wrong(spec, "the external-ca option needs a url= parameter");
  return { Protocol: protocol, URL: url, Options: options, CACert: cert };
}

function readPem(spec: string, path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw wrong(spec, `unable to read CA cert: ${messageOf(error)}`);
  }
}

function wrong(spec: string, why: string): Failure {
  return new Failure(`invalid argument "${spec}" for "--external-ca" flag: ${why}`);
}
