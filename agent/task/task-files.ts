// The files that a task is handed: its secrets and configs, at their targets.

import { expandPayload, type TaskNode } from "../../common/template/task-template.js";
import { TemplateError } from "../../common/template/value.js";
import {
  type Config,
  type ContainerSpec,
  FileTarget,
  type Secret,
  type Task,
} from "../../proto/gen/service.js";
import type { ContainerFile } from "./container-spec.js";

export interface Handed {
  readonly secrets: readonly Secret[];
  readonly configs: readonly Config[];
}

/** Where Docker puts a secret whose target is no path (docker/cli opts, moby container.SecretMountPath). */
const SECRETS_FOLDER = "/run/secrets";
/** Of what has no mode of its own (engine-api.yaml, TaskSpec.ContainerSpec.Secrets). */
const DEFAULT_MODE = 0o444;

/** The files, or why they cannot be made, as a sentence. `spec` is the task's with its templates filled in. */
export function taskFiles(
  task: Task,
  spec: ContainerSpec,
  node: TaskNode,
  handed: Handed,
): readonly ContainerFile[] | string {
  const secrets = new Map(handed.secrets.map((secret) => [secret.id, secret]));
  const configs = new Map(handed.configs.map((config) => [config.id, config]));
  const expander = new Expander(task, spec, node, secrets, configs);
  const files: ContainerFile[] = [];
  try {
    for (const reference of spec.secrets) {
      const secret = secrets.get(reference.secretId);
      if (secret === undefined) return `secret ${reference.secretName} not found`;
      const target = reference.file ?? FileTarget.create();
      const path = inFolder(SECRETS_FOLDER, target.name || reference.secretName);
      const { data } = expander.secret(secret);
      files.push({ ...placed(target, path), data, secret: true });
    }
    for (const reference of spec.configs) {
      // A credential spec: no file, and Windows' alone.
      if (reference.runtime) continue;
      const config = configs.get(reference.configId);
      if (config === undefined) return `config ${reference.configName} not found`;
      const target = reference.file ?? FileTarget.create();
      const path = inFolder("", target.name || reference.configName);
      const { data, sensitive } = expander.config(config);
      files.push({ ...placed(target, path), data, secret: sensitive });
    }
  } catch (error) {
    if (error instanceof TemplateError || error instanceof BadTarget) return error.message;
    throw error;
  }
  const paths = files.map(({ target }) => target);
  const twice = paths.find((path, i) => paths.indexOf(path) !== i);
  return twice === undefined ? files : `more than one secret or config has the target ${twice}`;
}

class BadTarget extends Error {}

function placed(target: FileTarget, path: string) {
  const { uid, gid, mode } = target;
  if (path.split("/").includes("..")) throw new BadTarget(`invalid target ${path}: it holds ".."`);
  return {
    target: path,
    uid: numberOf(uid, "uid", path),
    gid: numberOf(gid, "gid", path),
    mode: mode === 0 ? DEFAULT_MODE : mode & 0o7777,
  };
}

function numberOf(text: string, what: string, path: string): number {
  if (text === "") return 0;
  const value = Number(text);
  // user_namespaces(7): ids are of 32 bits, and the last one means none.
  if (!/^\d{1,10}$/.test(text) || value >= 0xffffffff) {
    throw new BadTarget(`${path}: ${what} "${text}" is not a number`);
  }
  return value;
}

function inFolder(folder: string, name: string): string {
  return name.startsWith("/") ? name : `${folder}/${name}`;
}

interface Text {
  readonly data: Uint8Array;
  /** Something secret went into it. */
  readonly sensitive: boolean;
}

/** Fills in templates, one in another, each no deeper than the list of what refers to what. */
class Expander {
  readonly #open: string[] = [];
  #sensitive = false;

  constructor(
    private readonly task: Task,
    private readonly spec: ContainerSpec,
    private readonly node: TaskNode,
    private readonly secrets: ReadonlyMap<string, Secret>,
    private readonly configs: ReadonlyMap<string, Config>,
  ) {}

  secret({ spec }: Secret): Text {
    return { data: this.#expand(spec, `secret ${spec?.name}`), sensitive: true };
  }

  config({ spec }: Config): Text {
    this.#sensitive = false;
    const data = this.#expand(spec, `config ${spec?.name}`);
    return { data, sensitive: this.#sensitive };
  }

  #expand(spec: Secret["spec"] | Config["spec"], what: string): Uint8Array {
    if (spec === undefined) throw new TemplateError(`${what} is empty`);
    if (spec.templating === "") return spec.data;
    if (spec.templating !== "golang") {
      throw new TemplateError(`${what}: unrecognized template type "${spec.templating}"`);
    }
    if (this.#open.includes(what)) throw new TemplateError(`${what} refers to itself`);
    this.#open.push(what);
    try {
      return expandPayload(spec.data, this.task, this.node, {
        secret: (target) => this.#named("secret", target),
        config: (target) => this.#named("config", target),
        env: (name) => this.#env(name),
      });
    } catch (error) {
      if (!(error instanceof TemplateError) || error instanceof Wrapped) throw error;
      throw new Wrapped(`${what}: ${error.message}`);
    } finally {
      this.#open.pop();
    }
  }

  /** Named by the target, as in SwarmKit (template/context.go). */
  #named(kind: "secret" | "config", target: string): string {
    if (kind === "secret") {
      this.#sensitive = true;
      const { secretId = "" } =
        this.spec.secrets.find(({ file, secretName }) => (file?.name || secretName) === target) ??
        {};
      const secret = this.secrets.get(secretId);
      if (secret === undefined) throw new TemplateError(`secret target ${target} not found`);
      return textOf(this.#expand(secret.spec, `secret ${secret.spec?.name}`));
    }
    const { configId = "" } =
      this.spec.configs.find(({ file, configName }) => (file?.name || configName) === target) ?? {};
    const config = this.configs.get(configId);
    if (config === undefined) throw new TemplateError(`config target ${target} not found`);
    return textOf(this.#expand(config.spec, `config ${config.spec?.name}`));
  }

  #env(name: string): string {
    const entry = this.spec.env.findLast((each) => each.startsWith(`${name}=`));
    if (entry === undefined) throw new TemplateError(`environment variable ${name} not found`);
    return entry.slice(name.length + 1);
  }
}

class Wrapped extends TemplateError {}

function textOf(data: Uint8Array): string {
  return Buffer.from(data).toString("utf8");
}
