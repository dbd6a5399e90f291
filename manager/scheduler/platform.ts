// One name for each processor and system: images and kernels call the same thing differently.
import type { Node, Platform } from "../../proto/gen/types.js";

const ARCHITECTURES: Readonly<Record<string, string>> = {
  x86_64: "amd64",
  "x86-64": "amd64",
  aarch64: "arm64",
  i386: "386",
  i686: "386",
  armhf: "arm",
  armv6l: "arm",
  armv7l: "arm",
};

export function normalArchitecture(name: string): string {
  const lower = name.toLowerCase();
  return ARCHITECTURES[lower] ?? lower;
}

export function normalOs(name: string): string {
  const lower = name.toLowerCase();
  return lower === "macos" ? "darwin" : lower;
}

/** Whether one of the platforms that an image is made for is the node's; none named: all are. */
export function hasPlatform(node: Node, platforms: readonly Platform[]): boolean {
  if (platforms.length === 0) return true;
  const have = node.description?.platform;
  return platforms.some(
    ({ architecture, os }) =>
      (os === "" || normalOs(os) === normalOs(have?.os ?? "")) &&
      (architecture === "" ||
        normalArchitecture(architecture) === normalArchitecture(have?.architecture ?? "")),
  );
}
