// Platforms of images: "linux/arm64/v8", in the short form that containerd's platforms package gives them.
import { type Refusal, refuse } from "../../common/fault.js";
import type { PlatformWish } from "../seams.js";

const ARCHITECTURES: Readonly<Record<string, string>> = {
  x86_64: "amd64",
  "x86-64": "amd64",
  x64: "amd64",
  aarch64: "arm64",
  i386: "386",
  i686: "386",
  ia32: "386",
  armhf: "arm",
  armel: "arm",
};

/** `machine` is Node's process.arch, or what uname says. */
export function hostPlatform(machine: string): PlatformWish {
  return normalized({ os: "linux", architecture: machine, variant: "" });
}

export function parsePlatform(text: string): PlatformWish | Refusal {
  const parts = text.toLowerCase().split("/");
  const wrong = parts.find((part) => !/^[a-z0-9_.-]{1,32}$/.test(part));
  if (wrong !== undefined || parts.length > 3) {
    const why =
      wrong === undefined
        ? "cannot parse platform specifier"
        : `"${wrong}" is an invalid component`;
    return refuse("invalid-argument", `${JSON.stringify(text)}: ${why}: invalid argument`);
  }
  const [first = "", second = "", variant = ""] = parts;
  if (parts.length === 1) {
    // One word is a system or a machine.
    return first === "linux" || first === "windows"
      ? refuse("invalid-argument", `"${text}": say the architecture too, as in linux/amd64`)
      : normalized({ os: "linux", architecture: first, variant: "" });
  }
  return normalized({ os: first, architecture: second, variant });
}

export function normalized({ os, architecture, variant }: PlatformWish): PlatformWish {
  const machine = architecture.toLowerCase();
  const known = ARCHITECTURES[machine] ?? machine;
  if (known === "arm64") {
    return { os, architecture: known, variant: /^(v?8)?$/.test(variant) ? "" : variant };
  }
  if (known !== "arm") return { os, architecture: known, variant };
  const of = machine === "armel" ? "v6" : "v7";
  return {
    os,
    architecture: known,
    variant: variant === "" ? of : variant.replace(/^(\d)/, "v$1"),
  };
}

export function platformText({ os, architecture, variant }: PlatformWish): string {
  return [os, architecture, variant].filter((part) => part !== "").join("/");
}

/**
 * How well this machine could run what is made for `have`: 0 not at all, more is better. A newer ARM runs
 * what was made for an older one; other variants must be equal.
 */
export function fitness(want: PlatformWish, have: PlatformWish): number {
  const [wanted, offered] = [normalized(want), normalized(have)];
  if (wanted.os !== offered.os || wanted.architecture !== offered.architecture) return 0;
  if (wanted.variant === offered.variant) return 100;
  if (wanted.architecture !== "arm")
    return wanted.variant === "" || offered.variant === "" ? 50 : 0;
  const [limit, version] = [wanted, offered].map(({ variant }) => Number(variant.slice(1)));
  if (limit === undefined || version === undefined || !(version <= limit)) return 0;
  return version;
}
