// `docker import --change`: Dockerfile instructions that change an image's config, as dockerd takes them
// (builder/dockerfile BuildFromConfig): CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD (refused),
// STOPSIGNAL, USER, VOLUME, WORKDIR.
import { posix } from "node:path";
import { type Refusal, refuse } from "../../common/fault.js";
import type { HealthCheck, ImageConfig } from "../seams.js";

// Choices: a Dockerfile's instruction is a line of a file.
const CHANGES_MAX = 200;
const CHANGE_LENGTH_MAX = 64 * 1024;

export function changedConfig(
  config: ImageConfig,
  changes: readonly string[],
): ImageConfig | Refusal {
  if (changes.length > CHANGES_MAX) return wrong(`there are more than ${CHANGES_MAX} changes`);
  let changed = config;
  for (const change of changes) {
    const next =
      change.length > CHANGE_LENGTH_MAX ? "a change is too long" : applied(changed, change);
    if (typeof next === "string") return wrong(next);
    changed = next;
  }
  return changed;
}

function wrong(sentence: string): Refusal {
  return refuse("invalid-argument", sentence);
}

function applied(config: ImageConfig, change: string): ImageConfig | string {
  const match = /^\s*([A-Za-z]+)(?:\s+([\s\S]*))?$/.exec(change);
  const word = (match?.[1] ?? "").toUpperCase();
  const rest = (match?.[2] ?? "").trim();
  if (match === null) return `cannot be read as a Dockerfile instruction: ${change.slice(0, 100)}`;
  if (rest === "" && word !== "CMD" && word !== "ENTRYPOINT") {
    return `${word} requires at least one argument`;
  }
  switch (word) {
    case "CMD":
      return { ...config, command: commandOf(rest) };
    case "ENTRYPOINT":
      return { ...config, entrypoint: commandOf(rest) };
    case "ENV": {
      const pairs = pairsOf(rest);
      if (typeof pairs === "string") return `ENV ${pairs}`;
      const names = new Set(pairs.map(([name]) => name));
      const kept = config.env.filter((each) => !names.has(each.split("=")[0] ?? ""));
      return { ...config, env: [...kept, ...pairs.map(([name, value]) => `${name}=${value}`)] };
    }
    case "LABEL": {
      const pairs = pairsOf(rest);
      if (typeof pairs === "string") return `LABEL ${pairs}`;
      return { ...config, labels: { ...config.labels, ...Object.fromEntries(pairs) } };
    }
    case "EXPOSE":
      return exposed(config, wordsOf(rest));
    case "VOLUME":
      return {
        ...config,
        volumes: [...new Set([...config.volumes, ...(jsonWords(rest) ?? wordsOf(rest))])],
      };
    case "USER":
      return { ...config, user: rest };
    case "WORKDIR":
      return { ...config, workingDir: posix.resolve(config.workingDir || "/", rest) };
    case "STOPSIGNAL":
      return { ...config, stopSignal: rest };
    case "HEALTHCHECK": {
      const healthCheck = healthOf(rest);
      return typeof healthCheck === "string" ? healthCheck : { ...config, healthCheck };
    }
    default:
      return `${word.toLowerCase()} is not a valid change command`;
  }
}

/** ["a", "b"] as it is; else for a shell. */
function commandOf(text: string): readonly string[] {
  if (text === "") return [];
  return jsonWords(text) ?? ["/bin/sh", "-c", text];
}

function jsonWords(text: string): readonly string[] | undefined {
  if (!text.startsWith("[")) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) && value.every((each) => typeof each === "string")
      ? value
      : undefined;
  } catch {
    return undefined;
  }
}

/** "a=b c='d e'", or the old form "a b c" which is one pair; a sentence for what is neither. */
function pairsOf(text: string): readonly (readonly [string, string])[] | string {
  const words = wordsOf(text);
  const [first = ""] = words;
  if (!first.includes("=")) {
    const value = text.slice(first.length).trim();
    return value === "" ? "must have two arguments" : [[first, value]];
  }
  const bad = words.find((each) => each.indexOf("=") < 1);
  if (bad !== undefined) return `names can not be blank, or the syntax is wrong at "${bad}"`;
  return words.map((each) => {
    const at = each.indexOf("=");
    return [each.slice(0, at), each.slice(at + 1)];
  });
}

/** Words with quotes and backslashes taken off. */
function wordsOf(text: string): readonly string[] {
  const words: string[] = [];
  let word = "";
  let within = "";
  let begun = false;
  for (let i = 0; i < text.length; i++) {
    const character = text[i] ?? "";
    if (character === "\\" && within !== "'" && i + 1 < text.length) {
      word += text[++i];
      begun = true;
    } else if (within === "" && (character === '"' || character === "'")) {
      within = character;
      begun = true;
    } else if (character === within) {
      within = "";
    } else if (within === "" && /\s/.test(character)) {
      if (begun) words.push(word);
      word = "";
      begun = false;
    } else {
      word += character;
      begun = true;
    }
  }
  if (begun) words.push(word);
  return words;
}

function exposed(config: ImageConfig, ports: readonly string[]): ImageConfig | string {
  const bad = ports.find((port) => !/^\d{1,5}(-\d{1,5})?(\/(tcp|udp|sctp))?$/i.test(port));
  if (bad !== undefined) return `invalid containerPort: ${bad}`;
  const named = ports.map((port) => (port.includes("/") ? port.toLowerCase() : `${port}/tcp`));
  return { ...config, exposed: [...new Set([...config.exposed, ...named])] };
}

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

function healthOf(text: string): HealthCheck | null | string {
  if (/^none$/i.test(text)) return null;
  const flags: Record<string, number> = {};
  let rest = text;
  for (;;) {
    const flag =
      /^--(interval|timeout|start-period|start-interval|retries)=(\d+)(ms|s|m|h)?\s+/.exec(rest);
    if (flag === null) break;
    flags[flag[1] ?? ""] = Number(flag[2]) * (UNIT_MS[flag[3] ?? "ms"] ?? 1);
    rest = rest.slice(flag[0].length);
  }
  const command = /^CMD\s+([\s\S]+)$/i.exec(rest)?.[1];
  if (command === undefined)
    return `Unknown type ${JSON.stringify(rest.split(/\s/)[0])} in HEALTHCHECK (try CMD)`;
  const words = jsonWords(command);
  return {
    test: words === undefined ? ["CMD-SHELL", command] : ["CMD", ...words],
    intervalMs: flags["interval"] ?? 0,
    timeoutMs: flags["timeout"] ?? 0,
    retries: flags["retries"] ?? 0,
    startPeriodMs: flags["start-period"] ?? 0,
    startIntervalMs: flags["start-interval"] ?? 0,
  };
}
