// What a service's tasks run ↔ Docker's ContainerSpec of a TaskSpec (engine-api.yaml). What was absent is
// absent again. A field that a client's API version does not know is dropped, as dockerd does; what only
// Windows or SELinux has is refused.
import { refuse } from "../../common/fault.js";
import type {
  ConfigReference,
  ContainerSpec,
  FileTarget,
  HealthConfig,
  SecretReference,
  Ulimit,
} from "../../proto/gen/service.js";
import { mapIfAny, omitEmpty } from "./go-json.js";
import { badRequest, refusedByManager, unserved } from "./http-error.js";
import {
  durationIn,
  flagIn,
  type JsonObject,
  maybeObjectIn,
  numberIn,
  objectsIn,
  textIn,
  textMapIn,
  textsIn,
  unsignedIn,
  wordsIn,
} from "./json.js";
import { mountFromJson, mountJson } from "./service-mounts.js";
import { privilegesFromJson, privilegesJson } from "./service-privileges.js";
import type { ApiMinor } from "./version.js";

// Docker Engine API history, as dockerd's adjustForAPIVersion has it.
const CAPABILITIES_AND_ULIMITS_SINCE: ApiMinor = 41;
const START_INTERVAL_SINCE: ApiMinor = 44;
const OOM_SCORE_SINCE: ApiMinor = 46;

export function serviceContainerFromJson(json: JsonObject, version: ApiMinor): ContainerSpec {
  const isolation = textIn(json, "Isolation").toLowerCase();
  if (isolation !== "" && isolation !== "default") {
    throw badRequest(`isolation "${isolation}" is Windows' own: on Linux only "default" is there`);
  }
  const hasLimits = version >= CAPABILITIES_AND_ULIMITS_SINCE;
  const health = maybeObjectIn(json, "Healthcheck");
  const dns = maybeObjectIn(json, "DNSConfig");
  const privileges = maybeObjectIn(json, "Privileges");
  return {
    image: textIn(json, "Image"),
    labels: textMapIn(json, "Labels"),
    command: wordsIn(json, "Command"),
    args: wordsIn(json, "Args"),
    hostname: textIn(json, "Hostname"),
    env: textsIn(json, "Env"),
    dir: textIn(json, "Dir"),
    user: textIn(json, "User"),
    groups: textsIn(json, "Groups"),
    privileges: privileges && privilegesFromJson(privileges, version),
    init: json["Init"] === undefined || json["Init"] === null ? undefined : flagIn(json, "Init"),
    tty: flagIn(json, "TTY"),
    openStdin: flagIn(json, "OpenStdin"),
    readOnly: flagIn(json, "ReadOnly"),
    stopSignal: textIn(json, "StopSignal"),
    stopGracePeriodNs: gracePeriodIn(json),
    mounts: objectsIn(json, "Mounts").map((each) => mountFromJson(each, version)),
    healthcheck: health && healthFromJson(health, version),
    hosts: textsIn(json, "Hosts"),
    dns: dns && {
      nameservers: textsIn(dns, "Nameservers"),
      search: textsIn(dns, "Search"),
      options: textsIn(dns, "Options"),
    },
    secrets: objectsIn(json, "Secrets").map(secretReferenceFromJson),
    configs: objectsIn(json, "Configs").map(configReferenceFromJson),
    isolation: "",
    sysctls: textMapIn(json, "Sysctls"),
    capabilityAdd: hasLimits ? textsIn(json, "CapabilityAdd") : [],
    capabilityDrop: hasLimits ? textsIn(json, "CapabilityDrop") : [],
    ulimits: hasLimits ? objectsIn(json, "Ulimits").map(ulimitFromJson) : [],
    oomScoreAdj: version >= OOM_SCORE_SINCE ? (numberIn(json, "OomScoreAdj") ?? 0) : 0,
    registryAuth: "",
  };
}

export function serviceContainerJson(spec: ContainerSpec): object {
  const fields = omitEmpty({
    Image: spec.image,
    Labels: mapIfAny(spec.labels),
    Command: spec.command,
    Args: spec.args,
    Hostname: spec.hostname,
    Env: spec.env,
    Dir: spec.dir,
    User: spec.user,
    Groups: spec.groups,
    Privileges: spec.privileges && privilegesJson(spec.privileges),
    // A pointer in Go: false is shown, and only nil is not.
    Init: spec.init === undefined ? undefined : { kept: spec.init },
    StopSignal: spec.stopSignal,
    TTY: spec.tty,
    OpenStdin: spec.openStdin,
    ReadOnly: spec.readOnly,
    Mounts: spec.mounts.map(mountJson),
    StopGracePeriod:
      spec.stopGracePeriodNs === undefined ? undefined : { kept: spec.stopGracePeriodNs },
    Healthcheck: spec.healthcheck && healthJson(spec.healthcheck),
    Hosts: spec.hosts,
    DNSConfig:
      spec.dns &&
      omitEmpty({
        Nameservers: spec.dns.nameservers,
        Search: spec.dns.search,
        Options: spec.dns.options,
      }),
    Secrets: spec.secrets.map((each) => ({
      ...(each.file ? { File: fileJson(each.file) } : { File: null }),
      SecretID: each.secretId,
      SecretName: each.secretName,
    })),
    Configs: spec.configs.map((each) => ({
      ...(each.runtime ? { Runtime: {} } : {}),
      ...(each.file ? { File: fileJson(each.file) } : {}),
      ConfigID: each.configId,
      ConfigName: each.configName,
    })),
    Isolation: "default",
    Sysctls: mapIfAny(spec.sysctls),
    CapabilityAdd: spec.capabilityAdd,
    CapabilityDrop: spec.capabilityDrop,
    Ulimits: spec.ulimits.map(({ name, soft, hard }) => ({ Name: name, Hard: hard, Soft: soft })),
    OomScoreAdj: spec.oomScoreAdj,
  });
  return Object.fromEntries(
    Object.entries(fields).map(([key, value]) => [key, isKept(value) ? value.kept : value]),
  );
}

function isKept(value: unknown): value is { readonly kept: unknown } {
  return typeof value === "object" && value !== null && "kept" in value;
}

function healthFromJson(json: JsonObject, version: ApiMinor): HealthConfig {
  const duration = (key: string) =>
    durationIn(json, key, `ContainerSpec: ${key} in HealthConfig cannot be less than 1ms`) ?? 0;
  const retries = numberIn(json, "Retries") ?? 0;
  if (retries < 0) {
    const sentence = "ContainerSpec: Retries in HealthConfig cannot be negative";
    throw refusedByManager(refuse("invalid-argument", sentence));
  }
  return {
    test: textsIn(json, "Test"),
    intervalNs: duration("Interval"),
    timeoutNs: duration("Timeout"),
    retries,
    startPeriodNs: duration("StartPeriod"),
    startIntervalNs: version >= START_INTERVAL_SINCE ? duration("StartInterval") : 0,
  };
}

function healthJson(health: HealthConfig): object {
  return omitEmpty({
    Test: health.test,
    Interval: health.intervalNs,
    Timeout: health.timeoutNs,
    StartPeriod: health.startPeriodNs,
    StartInterval: health.startIntervalNs,
    Retries: health.retries,
  });
}

function fileFromJson(json: JsonObject): FileTarget {
  return {
    name: textIn(json, "Name"),
    uid: textIn(json, "UID"),
    gid: textIn(json, "GID"),
    mode: unsignedIn(json, "Mode") ?? 0,
  };
}

function fileJson({ name, uid, gid, mode }: FileTarget): object {
  return { Name: name, UID: uid, GID: gid, Mode: mode };
}

function secretReferenceFromJson(json: JsonObject): SecretReference {
  const file = maybeObjectIn(json, "File");
  return {
    secretId: textIn(json, "SecretID"),
    secretName: textIn(json, "SecretName"),
    file: file && fileFromJson(file),
  };
}

function configReferenceFromJson(json: JsonObject): ConfigReference {
  const file = maybeObjectIn(json, "File");
  const runtime = maybeObjectIn(json, "Runtime");
  if (!file && !runtime) {
    throw badRequest("invalid Config: either File or Runtime should be set");
  }
  if (file && runtime) throw badRequest("invalid Config: cannot specify both File and Runtime");
  // Only a credential spec, which is Windows' own, is configured by a config without a file.
  if (runtime) throw unserved("configs that are no file (ConfigReference.Runtime) are");
  return {
    configId: textIn(json, "ConfigID"),
    configName: textIn(json, "ConfigName"),
    file: file && fileFromJson(file),
    runtime: false,
  };
}

function ulimitFromJson(json: JsonObject): Ulimit {
  return {
    name: textIn(json, "Name"),
    soft: numberIn(json, "Soft") ?? 0,
    hard: numberIn(json, "Hard") ?? 0,
  };
}

function gracePeriodIn(json: JsonObject): number | undefined {
  const ns = numberIn(json, "StopGracePeriod");
  if (ns === undefined || ns >= 0) return ns;
  throw badRequest(`the stop grace period must not be negative: ${ns / 1e9}s`);
}
