// Secrets: bytes that only the nodes with a task that refers to them are told.
import { type Refusal, refuse } from "../../common/fault.js";
import type {
  CreateSecretRequest,
  RemoveRequest,
  UpdateSecretRequest,
} from "../../proto/gen/control.js";
import type { Secret } from "../../proto/gen/service.js";
import type { Draft } from "../store/view.js";
import type { Context } from "./context.js";
import { checkFileUpdate, checkNewFile, type FileKind, noSuchFile } from "./stored-file.js";

// swarmkit api/validation: MaxSecretSize.
const KIND: FileKind = { name: "secret", bytesEnd: 500 * 1024 };

export function createSecret(
  draft: Draft,
  request: CreateSecretRequest,
  ctx: Context,
): Secret | Refusal {
  const { spec } = request;
  if (spec === undefined) return refuse("invalid-argument", "a secret needs a spec");
  const refusal = checkNewFile(KIND, spec);
  if (refusal !== undefined) return refusal;
  const secret: Secret = { id: ctx.newId(), meta: undefined, spec };
  draft.create("secret", secret);
  return draft.secret(secret.id) ?? secret;
}

export function updateSecret(draft: Draft, request: UpdateSecretRequest): Secret | Refusal {
  const before = draft.secret(request.id);
  if (before?.spec === undefined) return noSuchFile(KIND, request.id);
  const { spec } = request;
  if (spec === undefined) return refuse("invalid-argument", "a secret needs a spec");
  const refusal = checkFileUpdate(before, { version: request.version, spec });
  if (refusal !== undefined) return refusal;
  draft.update("secret", { ...before, spec: { ...before.spec, labels: spec.labels } });
  return draft.secret(before.id) ?? before;
}

/** Refused by the store's rules while a service uses it. */
export function removeSecret(draft: Draft, request: RemoveRequest): Refusal | undefined {
  if (draft.secret(request.id) === undefined) return noSuchFile(KIND, request.id);
  draft.remove("secret", request.id);
  return undefined;
}

/** As it may be shown: nobody reads a secret back. */
export function shownSecret(secret: Secret): Secret {
  return secret.spec ? { ...secret, spec: { ...secret.spec, data: Buffer.alloc(0) } } : secret;
}
