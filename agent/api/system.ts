// /_ping and /version: who answers, and what it speaks.
import { API_VERSION, API_VERSION_MIN, SKEIN_VERSION } from "../../common/version.js";
import { Role } from "../../proto/gen/types.js";
import type { AgentNode, HostFacts } from "../seams.js";
import { type Answer, json, text } from "./answer.js";
import type { Call } from "./call.js";
import { infoJson } from "./info.js";
import { type Route, route } from "./router.js";

export const SYSTEM_ROUTES: readonly Route[] = [
  route("GET", "/_ping", ping),
  route("HEAD", "/_ping", ping),
  route("GET", "/version", version),
  route("GET", "/info", async (call) => json(await infoJson(call))),
];

function ping(call: Call): Answer {
  return text("OK", "text/plain; charset=utf-8", {
    "Cache-Control": "no-cache, no-store, must-revalidate",
    Pragma: "no-cache",
    Swarm: swarmWord(call.node),
  });
}

/** The `Swarm` header of engine-api.yaml (SystemPing). */
function swarmWord(node: AgentNode): string {
  const { state, role } = node.membership.status();
  if (state !== "active") return state;
  return role === Role.MANAGER ? "active/manager" : "active/worker";
}

function version(call: Call): Answer {
  const host = call.node.host();
  const details = {
    ApiVersion: API_VERSION,
    Arch: goArch(host.architecture),
    BuildTime: "",
    Experimental: "false",
    GitCommit: "",
    // The field is Docker's; this is what runs instead.
    GoVersion: `none (Node.js ${process.version})`,
    KernelVersion: host.kernelVersion,
    MinAPIVersion: API_VERSION_MIN,
    Os: "linux",
  };
  return json({
    Platform: { Name: `Skein ${SKEIN_VERSION}` },
    // The docker CLI looks for the component of this name.
    Components: [
      { Name: "Engine", Version: SKEIN_VERSION, Details: details },
      ...(host.containerd ? [containerdJson(host.containerd)] : []),
    ],
    Version: SKEIN_VERSION,
    ApiVersion: details.ApiVersion,
    MinAPIVersion: details.MinAPIVersion,
    GitCommit: details.GitCommit,
    GoVersion: details.GoVersion,
    Os: details.Os,
    Arch: details.Arch,
    KernelVersion: details.KernelVersion,
    BuildTime: details.BuildTime,
  });
}

function containerdJson({ version, revision }: NonNullable<HostFacts["containerd"]>): object {
  return { Name: "containerd", Version: version, Details: { GitCommit: revision } };
}

/** Go's word for what uname(2) calls x86_64 and Node.js x64. */
function goArch(architecture: string): string {
  const words: Readonly<Record<string, string>> = {
    x86_64: "amd64",
    x64: "amd64",
    aarch64: "arm64",
    armv7l: "arm",
  };
  return words[architecture] ?? architecture;
}
