// `-v`, `--mount` and `--tmpfs` → Binds, Volumes, Mounts and Tmpfs.
import { resolve } from "node:path";
import type { Values } from "../args/values.js";
import { Failure } from "../cli.js";
import { type MountJson, parseMount } from "../service/mount.js";

export interface MountFields {
  readonly binds: readonly string[];
  /** Nameless volumes, by where they go. */
  readonly volumes: Readonly<Record<string, object>>;
  readonly mounts: readonly MountJson[];
  readonly tmpfs: Readonly<Record<string, string>>;
}

export function mountFields(flags: Values): MountFields {
  const binds: string[] = [];
  const volumes: Record<string, object> = {};
  for (const text of flags.list("volume")) {
    if (text.includes(":")) binds.push(bind(text));
    else volumes[text] = {};
  }
  return {
    binds,
    volumes,
    mounts: flags.list("mount").map(parseMount),
    tmpfs: Object.fromEntries(flags.list("tmpfs").map(tmpfs)),
  };
}

/** A source that begins with a dot is a path from here. */
function bind(text: string): string {
  const [source = "", target = "", ...options] = text.split(":");
  if (source === "" || target === "" || options.length > 1) {
    throw new Failure(`invalid volume specification: '${text}'`);
  }
  const from = source.startsWith(".") ? resolve(source) : source;
  return [from, target, ...options].join(":");
}

function tmpfs(text: string): [string, string] {
  const at = text.indexOf(":");
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}
