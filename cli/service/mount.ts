// `--mount`: "type=volume,source=data,target=/data,readonly". After docker/cli opts/mount.go.
import { cut, mustKeyValues, WrongValue } from "../args/fields.js";
import { parseBytes } from "../args/quantities.js";

/** The API's Mount. */
export interface MountJson {
  readonly Type: string;
  readonly Source?: string;
  readonly Target: string;
  readonly ReadOnly?: boolean;
  readonly Consistency?: string;
  readonly BindOptions?: Readonly<Record<string, unknown>>;
  readonly VolumeOptions?: Readonly<Record<string, unknown>>;
  readonly TmpfsOptions?: Readonly<Record<string, unknown>>;
}

const ALONE = new Set(["readonly", "ro", "volume-nocopy", "bind-nonrecursive"]);

export function parseMount(text: string): MountJson {
  let type = "volume";
  const base: { Source?: string; Target?: string; ReadOnly?: boolean; Consistency?: string } = {};
  const bind: Record<string, unknown> = {};
  const volume: Record<string, unknown> = {};
  const tmpfs: Record<string, unknown> = {};
  const driver: { Name?: string; Options?: Record<string, string> } = {};
  for (const { key, value: given } of mustKeyValues(text)) {
    if (given === undefined && !ALONE.has(key)) {
      throw new WrongValue(`invalid field '${key}' must be a key=value pair`);
    }
    const value = given ?? "true";
    const truth = () => {
      if (value === "true" || value === "1") return true;
      if (value === "false" || value === "0") return false;
      throw new WrongValue(`invalid value for ${key}: ${value}`);
    };
    switch (key) {
      case "type":
        type = value.toLowerCase();
        break;
      case "source":
      case "src":
        base.Source = value;
        break;
      case "target":
      case "dst":
      case "destination":
        base.Target = value;
        break;
      case "readonly":
      case "ro":
        base.ReadOnly = truth();
        break;
      case "consistency":
        base.Consistency = value.toLowerCase();
        break;
      case "bind-propagation":
        bind["Propagation"] = value.toLowerCase();
        break;
      case "bind-nonrecursive":
        bind["NonRecursive"] = truth();
        break;
      case "bind-recursive":
        Object.assign(bind, recursion(value));
        break;
      case "volume-subpath":
        volume["Subpath"] = value;
        break;
      case "volume-nocopy":
        volume["NoCopy"] = truth();
        break;
      case "volume-label":
        volume["Labels"] = { ...(volume["Labels"] as object | undefined), ...pair(value) };
        break;
      case "volume-driver":
        driver.Name = value;
        break;
      case "volume-opt":
        driver.Options = { ...driver.Options, ...pair(value) };
        break;
      case "tmpfs-size": {
        const bytes = parseBytes(value);
        if (bytes === undefined) throw new WrongValue(`invalid value for ${key}: ${value}`);
        tmpfs["SizeBytes"] = bytes;
        break;
      }
      case "tmpfs-mode":
        if (!/^[0-7]{1,5}$/.test(value)) throw new WrongValue(`invalid value for ${key}: ${value}`);
        tmpfs["Mode"] = Number.parseInt(value, 8);
        break;
      default:
        throw new WrongValue(`unexpected key '${key}' in '${key}=${value}'`);
    }
  }
  if (Object.keys(driver).length > 0) volume["DriverConfig"] = driver;
  const { Target } = base;
  if (Target === undefined || Target === "") throw new WrongValue("target is required");
  const groups = { bind, volume, tmpfs };
  for (const [name, options] of Object.entries(groups)) {
    if (name !== type && Object.keys(options).length > 0) {
      throw new WrongValue(`cannot mix '${name}-*' options with mount type '${type}'`);
    }
  }
  if (type === "bind" && (base.Source ?? "") === "") throw new WrongValue("source is required");
  const options = (key: string, value: object) =>
    Object.keys(value).length === 0 ? {} : { [key]: value };
  return {
    Type: type,
    ...base,
    Target,
    ...options("BindOptions", bind),
    ...options("VolumeOptions", volume),
    ...options("TmpfsOptions", tmpfs),
  };
}

function recursion(value: string): Record<string, unknown> {
  switch (value) {
    case "enabled":
      return {};
    case "disabled":
      return { NonRecursive: true };
    case "writable":
      return { ReadOnlyNonRecursive: true };
    case "readonly":
      return { ReadOnlyForceRecursive: true };
    default:
      throw new WrongValue(
        `invalid value for bind-recursive: ${value} (must be "enabled", "disabled", "writable", or "readonly")`,
      );
  }
}

function pair(text: string): Record<string, string> {
  const [key, value = ""] = cut(text);
  return { [key]: value };
}
