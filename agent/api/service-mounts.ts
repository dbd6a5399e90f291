// A task's mounts ↔ Docker's Mount (engine-api.yaml).
import type { Mount } from "../../proto/gen/service.js";
import { mapIfAny, omitEmpty } from "./go-json.js";
import { badRequest, unserved } from "./http-error.js";
import {
  flagIn,
  type JsonObject,
  listIn,
  maybeObjectIn,
  textIn,
  textMapIn,
  unsignedIn,
} from "./json.js";
import type { ApiMinor } from "./version.js";

const TYPES = ["bind", "volume", "tmpfs"];
const OTHER_TYPES = ["npipe", "cluster", "image"];
const PROPAGATIONS = ["rprivate", "private", "rshared", "shared", "rslave", "slave"];
// Docker Engine API history: v1.46 adds TmpfsOptions.Options; dockerd drops it from older clients.
const TMPFS_OPTIONS_SINCE: ApiMinor = 46;

export function mountFromJson(json: JsonObject, version: ApiMinor): Mount {
  const bind = maybeObjectIn(json, "BindOptions");
  const volume = maybeObjectIn(json, "VolumeOptions");
  const tmpfs = maybeObjectIn(json, "TmpfsOptions");
  const driver = maybeObjectIn(volume ?? {}, "DriverConfig");
  refuseOthers(json, bind ?? {}, tmpfs ?? {}, version);
  const groups = [bind && "bind", volume && "volume", driver && "driver", tmpfs && "tmpfs"];
  return {
    type: typeOf(textIn(json, "Type")),
    source: textIn(json, "Source"),
    target: textIn(json, "Target"),
    readOnly: flagIn(json, "ReadOnly"),
    consistency: textIn(json, "Consistency"),
    propagation: propagationOf(textIn(bind ?? {}, "Propagation")),
    nonRecursive: flagIn(bind ?? {}, "NonRecursive"),
    createMountpoint: flagIn(bind ?? {}, "CreateMountpoint"),
    noCopy: flagIn(volume ?? {}, "NoCopy"),
    labels: textMapIn(volume ?? {}, "Labels"),
    driverName: textIn(driver ?? {}, "Name"),
    driverOptions: textMapIn(driver ?? {}, "Options"),
    subpath: textIn(volume ?? {}, "Subpath"),
    tmpfsSizeBytes: unsignedIn(tmpfs ?? {}, "SizeBytes") ?? 0,
    tmpfsMode: unsignedIn(tmpfs ?? {}, "Mode") ?? 0,
    optionGroups: groups.filter((group) => group !== undefined),
  };
}

export function mountJson(mount: Mount): object {
  const has = (group: string) => mount.optionGroups.includes(group);
  const driver = omitEmpty({ Name: mount.driverName, Options: mapIfAny(mount.driverOptions) });
  return omitEmpty({
    Type: mount.type,
    Source: mount.source,
    Target: mount.target,
    ReadOnly: mount.readOnly,
    Consistency: mount.consistency,
    BindOptions: has("bind")
      ? omitEmpty({
          Propagation: mount.propagation,
          NonRecursive: mount.nonRecursive,
          CreateMountpoint: mount.createMountpoint,
        })
      : undefined,
    VolumeOptions: has("volume")
      ? omitEmpty({
          NoCopy: mount.noCopy,
          Labels: mapIfAny(mount.labels),
          Subpath: mount.subpath,
          DriverConfig: has("driver") ? driver : undefined,
        })
      : undefined,
    TmpfsOptions: has("tmpfs")
      ? omitEmpty({ SizeBytes: mount.tmpfsSizeBytes, Mode: mount.tmpfsMode })
      : undefined,
  });
}

// An absent type is a bind, as SwarmKit's zero value is.
function typeOf(type: string): string {
  if (type === "") return "bind";
  if (OTHER_TYPES.includes(type)) throw unserved(`mounts of the type "${type}" are`);
  if (!TYPES.includes(type)) throw badRequest(`invalid MountType: "${type}"`);
  return type;
}

function propagationOf(propagation: string): string {
  if (propagation === "" || PROPAGATIONS.includes(propagation)) return propagation;
  throw badRequest(`invalid MountPropagation: "${propagation}"`);
}

function refuseOthers(
  json: JsonObject,
  bind: JsonObject,
  tmpfs: JsonObject,
  version: ApiMinor,
): void {
  for (const key of ["ReadOnlyNonRecursive", "ReadOnlyForceRecursive"]) {
    if (flagIn(bind, key)) throw unserved(`BindOptions.${key} of a mount is`);
  }
  for (const key of ["ClusterOptions", "ImageOptions"]) {
    if (maybeObjectIn(json, key)) throw unserved(`${key} of a mount are`);
  }
  if (version >= TMPFS_OPTIONS_SINCE && listIn(tmpfs, "Options").length > 0) {
    throw unserved("TmpfsOptions.Options of a mount are");
  }
}
