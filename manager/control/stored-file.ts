// What secrets and configs have in common: a name, labels, and bytes that never change. Sentences are
// SwarmKit's (manager/controlapi/common.go, secret.go, config.go).
import { type Refusal, refuse } from "../../common/fault.js";
import type { ConfigSpec, SecretSpec } from "../../proto/gen/service.js";
import { versionOf } from "../store/objects.js";
import { checkTexts } from "./names.js";

const NAME_MAX = 64;
const NAME = /^[a-zA-Z0-9]+(?:[a-zA-Z0-9-_.]*[a-zA-Z0-9])?$/;
const NAME_RULE =
  "invalid name, only 64 [a-zA-Z0-9-_.] characters allowed, and the start and end character must be [a-zA-Z0-9]";

export interface FileKind {
  readonly name: "secret" | "config";
  /** It has fewer bytes than this. */
  readonly bytesEnd: number;
}

type Spec = SecretSpec | ConfigSpec;

export function checkNewFile(kind: FileKind, spec: Spec): Refusal | undefined {
  const { name, data, templating } = spec;
  if (name.length > NAME_MAX || !NAME.test(name)) return refuse("invalid-argument", NAME_RULE);
  if (data.length < 1 || data.length >= kind.bytesEnd) {
    const range = `must be larger than 0 and less than ${kind.bytesEnd} bytes`;
    return refuse("invalid-argument", `${kind.name} data ${range}`);
  }
  const tooMuch = checkTexts("labels", spec.labels);
  if (tooMuch !== undefined) return tooMuch;
  if (templating === "" || templating === "golang") return undefined;
  const driver = JSON.stringify(templating);
  const sentence = `template driver ${driver} is not supported; "golang" is`;
  return refuse("unimplemented", sentence);
}

/** Only labels may change; what the request leaves empty stays as it was. */
export function checkFileUpdate(
  before: Parameters<typeof versionOf>[0] & { readonly spec: Spec | undefined },
  request: { readonly version: number; readonly spec: Spec },
): Refusal | undefined {
  const { name, data, templating } = request.spec;
  const current = before.spec;
  const same =
    name === current?.name &&
    (data.length === 0 || Buffer.compare(data, current.data) === 0) &&
    (templating === "" || templating === current.templating);
  if (!same) return refuse("invalid-argument", "only updates to Labels are allowed");
  const tooMuch = checkTexts("labels", request.spec.labels);
  if (tooMuch !== undefined) return tooMuch;
  if (request.version === versionOf(before)) return undefined;
  return refuse("failed-precondition", "update out of sequence");
}

export function noSuchFile(kind: FileKind, id: string): Refusal {
  return refuse("not-found", `${kind.name} ${id} not found`);
}
