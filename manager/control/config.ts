// Configs: files for tasks that need not be kept secret.
import { type Refusal, refuse } from "../../common/fault.js";
import type {
  CreateConfigRequest,
  RemoveRequest,
  UpdateConfigRequest,
} from "../../proto/gen/control.js";
import type { Config } from "../../proto/gen/service.js";
import type { Draft } from "../store/view.js";
import type { Context } from "./context.js";
import { checkFileUpdate, checkNewFile, type FileKind, noSuchFile } from "./stored-file.js";

// swarmkit manager/controlapi/config.go: MaxConfigSize.
const KIND: FileKind = { name: "config", bytesEnd: 1000 * 1024 };

export function createConfig(
  draft: Draft,
  request: CreateConfigRequest,
  ctx: Context,
): Config | Refusal {
  const { spec } = request;
  if (spec === undefined) return refuse("invalid-argument", "a config needs a spec");
  const refusal = checkNewFile(KIND, spec);
  if (refusal !== undefined) return refusal;
  const config: Config = { id: ctx.newId(), meta: undefined, spec };
  draft.create("config", config);
  return draft.config(config.id) ?? config;
}

export function updateConfig(draft: Draft, request: UpdateConfigRequest): Config | Refusal {
  const before = draft.config(request.id);
  if (before?.spec === undefined) return noSuchFile(KIND, request.id);
  const { spec } = request;
  if (spec === undefined) return refuse("invalid-argument", "a config needs a spec");
  const refusal = checkFileUpdate(before, { version: request.version, spec });
  if (refusal !== undefined) return refusal;
  draft.update("config", { ...before, spec: { ...before.spec, labels: spec.labels } });
  return draft.config(before.id) ?? before;
}

/** Refused by the store's rules while a service uses it. */
export function removeConfig(draft: Draft, request: RemoveRequest): Refusal | undefined {
  if (draft.config(request.id) === undefined) return noSuchFile(KIND, request.id);
  draft.remove("config", request.id);
  return undefined;
}
