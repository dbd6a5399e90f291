// ContainerSpec.Privileges of a service ↔ what of it there is on Linux without SELinux.
import type { Privileges } from "../../proto/gen/service.js";
import { omitEmpty } from "./go-json.js";
import { badRequest, unserved } from "./http-error.js";
import { flagIn, type JsonObject, maybeObjectIn, textIn } from "./json.js";
import type { ApiMinor } from "./version.js";

// Docker Engine API history: v1.44 adds Seccomp, AppArmor and NoNewPrivileges.
const SECCOMP_SINCE: ApiMinor = 44;
const SECCOMP_MODES = ["default", "unconfined", "custom"];
const APPARMOR_MODES = ["default", "disabled"];
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

export function privilegesFromJson(json: JsonObject, version: ApiMinor): Privileges {
  if (maybeObjectIn(json, "CredentialSpec")) {
    throw unserved("credential specs (Privileges.CredentialSpec), which are Windows' own, are");
  }
  if (maybeObjectIn(json, "SELinuxContext")) {
    throw unserved("SELinux contexts (Privileges.SELinuxContext) are");
  }
  if (version < SECCOMP_SINCE) {
    return {
      noNewPrivileges: false,
      seccompMode: "",
      seccompProfile: Buffer.alloc(0),
      apparmorMode: "",
    };
  }
  const seccomp = maybeObjectIn(json, "Seccomp") ?? {};
  const apparmor = maybeObjectIn(json, "AppArmor") ?? {};
  return {
    noNewPrivileges: flagIn(json, "NoNewPrivileges"),
    seccompMode: modeOf(seccomp, SECCOMP_MODES, "Seccomp"),
    seccompProfile: profileOf(textIn(seccomp, "Profile")),
    apparmorMode: modeOf(apparmor, APPARMOR_MODES, "AppArmor"),
  };
}

export function privilegesJson(privileges: Privileges): object {
  const { seccompMode, seccompProfile, apparmorMode } = privileges;
  const profile = Buffer.from(seccompProfile).toString("base64");
  return {
    CredentialSpec: null,
    SELinuxContext: null,
    ...(seccompMode === "" ? {} : { Seccomp: omitEmpty({ Mode: seccompMode, Profile: profile }) }),
    ...(apparmorMode === "" ? {} : { AppArmor: { Mode: apparmorMode } }),
    ...omitEmpty({ NoNewPrivileges: privileges.noNewPrivileges }),
  };
}

function modeOf(json: JsonObject, known: readonly string[], what: string): string {
  const mode = textIn(json, "Mode");
  if (mode === "" || known.includes(mode)) return mode;
  throw badRequest(`invalid ${what} mode: "${mode}" (it must be ${known.join(" or ")})`);
}

function profileOf(written: string): Buffer {
  if (!BASE64.test(written)) throw badRequest("invalid Seccomp profile: it must be base64");
  return Buffer.from(written, "base64");
}
