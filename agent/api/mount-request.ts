// What a request mounts (Binds, Mounts, Tmpfs, Volumes) → Mount. Docker's two ways of writing the same:
// `-v a:b:ro` and `--mount type=…`.
import type { Mount } from "../seams.js";
import { EMPTY_MOUNT } from "../task/container-spec.js";
import { badRequest, unserved } from "./http-error.js";
import {
  flagIn,
  type JsonObject,
  listIn,
  numberIn,
  objectIn,
  objectOf,
  textIn,
  textMapIn,
  textsIn,
} from "./json.js";

const PROPAGATIONS = ["private", "rprivate", "shared", "rshared", "slave", "rslave"];

export function mountsIn(config: JsonObject, host: JsonObject): readonly Mount[] {
  const driver = textIn(host, "VolumeDriver");
  const named = [
    ...textsIn(host, "Binds").map((text) => bindOf(text, driver)),
    ...listIn(host, "Mounts").map((each) => mountOf(objectOf(each, "Mounts"))),
    ...Object.entries(textMapIn(host, "Tmpfs")).map(([target, text]) => tmpfsOf(target, text)),
  ];
  const plain = (target: string) => target.replace(/(?<=.)\/+$/, "");
  const taken = new Set(named.map(({ target }) => plain(target)));
  // As in dockerd, what is mounted by name is not also a nameless volume.
  const nameless = Object.keys(objectIn(config, "Volumes"))
    .filter((target) => !taken.has(plain(target)))
    .map((target): Mount => ({ ...EMPTY_MOUNT, kind: "volume", target, volumeDriver: driver }));
  return [...named, ...nameless];
}

/** "source:target[:options]", or a target alone. */
function bindOf(text: string, driver: string): Mount {
  const wrong = badRequest(`invalid volume specification: '${text}'`);
  const parts = text.split(":");
  const [first = "", second, options = ""] = parts;
  if (parts.length > 3 || first === "" || second === "") throw wrong;
  if (second === undefined) {
    return { ...EMPTY_MOUNT, kind: "volume", target: first, volumeDriver: driver };
  }
  const kind = first.startsWith("/") ? "bind" : "volume";
  const start: Mount = {
    ...EMPTY_MOUNT,
    kind,
    source: first,
    target: second,
    createSource: kind === "bind",
    volumeDriver: kind === "volume" ? driver : "",
  };
  return options.split(",").reduce((mount, option) => withOption(mount, option, text), start);
}

function withOption(mount: Mount, option: string, text: string): Mount {
  if (PROPAGATIONS.includes(option)) return { ...mount, propagation: option };
  switch (option) {
    case "ro":
      return { ...mount, readOnly: true };
    case "nocopy":
      return { ...mount, noCopy: true };
    // SELinux labels, which mean nothing on a machine without SELinux; as in dockerd there.
    case "z":
    case "Z":
    case "rw":
    case "":
      return mount;
    default:
      throw badRequest(`invalid mode: ${text.split(":")[2]}`);
  }
}

function mountOf(json: JsonObject): Mount {
  const type = textIn(json, "Type");
  const common = {
    ...EMPTY_MOUNT,
    source: textIn(json, "Source"),
    target: textIn(json, "Target"),
    readOnly: flagIn(json, "ReadOnly"),
  };
  switch (type) {
    case "bind":
      return withBindOptions({ ...common, kind: "bind" }, objectIn(json, "BindOptions"));
    case "volume":
      return withVolumeOptions({ ...common, kind: "volume" }, objectIn(json, "VolumeOptions"));
    case "tmpfs":
      return withTmpfsOptions(
        { ...common, kind: "tmpfs", source: "" },
        objectIn(json, "TmpfsOptions"),
      );
    case "npipe":
    case "cluster":
    case "image":
      throw unserved(`mounts of type "${type}" are`);
    default:
      throw badRequest(`invalid mount config for type "${type}": mount type unknown`);
  }
}

function withBindOptions(mount: Mount, options: JsonObject): Mount {
  const propagation = textIn(options, "Propagation");
  if (propagation !== "" && !PROPAGATIONS.includes(propagation)) {
    throw badRequest(
      `invalid mount config for type "bind": invalid propagation mode: ${propagation}`,
    );
  }
  if (flagIn(options, "ReadOnlyForceRecursive")) {
    throw unserved("a bind that must be read-only all the way down (bind-recursive=readonly) is");
  }
  return {
    ...mount,
    propagation,
    recursive: !flagIn(options, "NonRecursive"),
    createSource: flagIn(options, "CreateMountpoint"),
  };
}

function withVolumeOptions(mount: Mount, options: JsonObject): Mount {
  const driver = objectIn(options, "DriverConfig");
  return {
    ...mount,
    noCopy: flagIn(options, "NoCopy"),
    subpath: textIn(options, "Subpath"),
    volumeDriver: textIn(driver, "Name"),
    volumeOptions: textMapIn(driver, "Options"),
    volumeLabels: textMapIn(options, "Labels"),
  };
}

function withTmpfsOptions(mount: Mount, options: JsonObject): Mount {
  return {
    ...mount,
    tmpfsBytes: numberIn(options, "SizeBytes") ?? 0,
    tmpfsMode: numberIn(options, "Mode") || undefined,
    tmpfsOptions: listIn(options, "Options").map((words) =>
      Array.isArray(words) ? words.map(String).join("=") : String(words),
    ),
  };
}

/** `--tmpfs /run:size=64m,mode=1777,noexec`. */
function tmpfsOf(target: string, text: string): Mount {
  let mount: Mount = { ...EMPTY_MOUNT, kind: "tmpfs", target };
  for (const word of text.split(",").filter((each) => each !== "")) {
    const [key = "", value = ""] = word.split("=", 2);
    if (key === "size") mount = { ...mount, tmpfsBytes: bytesOf(value, target) };
    else if (key === "mode") mount = { ...mount, tmpfsMode: modeOf(value, target) };
    else if (key === "ro") mount = { ...mount, readOnly: true };
    else if (TMPFS_WORDS.has(key))
      mount = { ...mount, tmpfsOptions: [...mount.tmpfsOptions, word] };
    else throw badRequest(`invalid tmpfs option ["${word}"]`);
  }
  return mount;
}

// dockerd's (pkg/mount, validFlags and the options of tmpfs(5)).
const TMPFS_WORDS = new Set(
  (
    "rw exec noexec suid nosuid dev nodev sync async dirsync remount mand nomand atime noatime diratime " +
    "nodiratime bind rbind unbindable runbindable private rprivate shared rshared slave rslave relatime " +
    "norelatime strictatime nostrictatime uid gid nr_inodes nr_blocks mpol"
  ).split(" "),
);

function bytesOf(text: string, target: string): number {
  const [, digits, unit = ""] = /^(\d{1,15})([kKmMgG%]?)$/.exec(text) ?? [];
  if (digits === undefined) throw badRequest(`invalid tmpfs size of ${target}: ${text}`);
  if (unit === "%") throw unserved(`the size of a tmpfs as a part of the memory (${text}) is`);
  return Number(digits) * 1024 ** ["", "k", "m", "g"].indexOf(unit.toLowerCase());
}

function modeOf(text: string, target: string): number {
  if (!/^[0-7]{1,5}$/.test(text)) throw badRequest(`invalid tmpfs mode of ${target}: ${text}`);
  return Number.parseInt(text, 8);
}
