// An image's config blob (OCI image-spec config.md, with Docker's additions): read from foreign bytes, and
// written for an image that is imported.
import type { HealthCheck, Image, ImageConfig } from "../seams.js";
import { isDigest } from "./digest.js";
import { CONFIG_BYTES_MAX, jsonObject, textMapOf } from "./manifest.js";

export type ConfigBlob = Pick<
  Image,
  "createdAtMs" | "architecture" | "os" | "variant" | "author" | "comment" | "config" | "layers"
> & {
  readonly history: readonly Omit<Image["history"][number], "sizeBytes">[];
};

const NS_PER_MS = 1_000_000;
// Docker keeps at most 127 layers, and Dockerfiles add instructions without one.
const HISTORY_MAX = 1_024;

/** A sentence says what is wrong with it. */
export function parseConfig(bytes: Uint8Array): ConfigBlob | string {
  if (bytes.length > CONFIG_BYTES_MAX) return `it is longer than ${CONFIG_BYTES_MAX} bytes`;
  const json = jsonObject(bytes);
  if (json === undefined) return "it is not a JSON object";
  const layers = listOf(objectOf(json["rootfs"])["diff_ids"]);
  if (!layers.every((each) => typeof each === "string" && isDigest(each))) {
    return "its rootfs has no list of layer digests";
  }
  return {
    createdAtMs: timeOf(json["created"]),
    architecture: textOf(json["architecture"]),
    os: textOf(json["os"]),
    variant: textOf(json["variant"]),
    author: textOf(json["author"]),
    comment: textOf(json["comment"]),
    config: containerConfig(objectOf(json["config"])),
    layers: layers as string[],
    history: listOf(json["history"])
      .slice(0, HISTORY_MAX)
      .map((each) => {
        const entry = objectOf(each);
        return {
          createdAtMs: timeOf(entry["created"]),
          createdBy: textOf(entry["created_by"]),
          comment: textOf(entry["comment"]),
          emptyLayer: entry["empty_layer"] === true,
        };
      }),
  };
}

function containerConfig(json: Record<string, unknown>): ImageConfig {
  return {
    entrypoint: textsOf(json["Entrypoint"]),
    command: textsOf(json["Cmd"]),
    env: textsOf(json["Env"]),
    workingDir: textOf(json["WorkingDir"]),
    user: textOf(json["User"]),
    labels: textMapOf(json["Labels"]),
    exposed: Object.keys(objectOf(json["ExposedPorts"])),
    volumes: Object.keys(objectOf(json["Volumes"])),
    stopSignal: textOf(json["StopSignal"]),
    healthCheck: healthOf(json["Healthcheck"]),
    shell: textsOf(json["Shell"]),
  };
}

function healthOf(value: unknown): HealthCheck | null | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const json = objectOf(value);
  const test = textsOf(json["Test"]);
  if (test[0] === "NONE") return null;
  if (test.length === 0) return undefined;
  const ms = (key: string) => Math.round(numberOf(json[key]) / NS_PER_MS);
  return {
    test,
    intervalMs: ms("Interval"),
    timeoutMs: ms("Timeout"),
    retries: numberOf(json["Retries"]),
    startPeriodMs: ms("StartPeriod"),
    startIntervalMs: ms("StartInterval"),
  };
}

/** The config as the API shows it, and as an imported image's blob has it. */
export function configJson(config: ImageConfig): Record<string, unknown> {
  const named = (keys: readonly string[]) => Object.fromEntries(keys.map((key) => [key, {}]));
  const some = <T>(list: readonly T[]) => (list.length === 0 ? null : list);
  return {
    ...(config.exposed.length > 0 && { ExposedPorts: named(config.exposed) }),
    Env: some(config.env),
    Cmd: some(config.command),
    ...(config.volumes.length > 0 && { Volumes: named(config.volumes) }),
    ...(config.healthCheck !== undefined && { Healthcheck: healthJson(config.healthCheck) }),
    User: config.user,
    WorkingDir: config.workingDir,
    Entrypoint: some(config.entrypoint),
    Labels: Object.keys(config.labels).length === 0 ? null : config.labels,
    ...(config.stopSignal !== "" && { StopSignal: config.stopSignal }),
    ...(config.shell.length > 0 && { Shell: config.shell }),
  };
}

function healthJson(check: HealthCheck | null): Record<string, unknown> {
  if (check === null) return { Test: ["NONE"] };
  const times = {
    Interval: check.intervalMs * NS_PER_MS,
    Timeout: check.timeoutMs * NS_PER_MS,
    StartPeriod: check.startPeriodMs * NS_PER_MS,
    StartInterval: check.startIntervalMs * NS_PER_MS,
    Retries: check.retries,
  };
  return {
    Test: check.test,
    ...Object.fromEntries(Object.entries(times).filter(([, value]) => value > 0)),
  };
}

export const EMPTY_CONFIG: ImageConfig = {
  entrypoint: [],
  command: [],
  env: [],
  workingDir: "",
  user: "",
  labels: {},
  exposed: [],
  volumes: [],
  stopSignal: "",
  healthCheck: undefined,
  shell: [],
};

function objectOf(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : {};
}
function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}
function textsOf(value: unknown): readonly string[] {
  if (typeof value === "string") return [value];
  return listOf(value).filter((each) => typeof each === "string");
}
function numberOf(value: unknown): number {
  return typeof value === "number" && Number.isSafeInteger(value) && value > 0 ? value : 0;
}
function timeOf(value: unknown): number {
  const ms = typeof value === "string" ? Date.parse(value) : Number.NaN;
  return Number.isNaN(ms) || ms < 0 ? 0 : ms;
}
