// Asking a host's agent: by the docker CLI, by skein's, and by one HTTP call with no program around it.
import { request } from "node:http";
import { type Lab, run } from "../../test/netns/lab.js";

/** Runs a client without scripts/lab between, whose own start would be measured too. */
export async function client(
  lab: Lab,
  host: string,
  program: "docker" | "skein",
  ...args: readonly string[]
): Promise<string> {
  const path = program === "skein" ? `/run/skein-lab/${lab.name}/bin/skein` : "docker";
  const endpoint = `unix://${lab.socket(host)}`;
  const env = { SKEIN_HOST: endpoint, DOCKER_HOST: endpoint };
  const result = await run(path, args, { env });
  if (result.code !== 0) throw new Error(`${program} ${args.join(" ")}: ${result.stderr}`);
  return result.stdout.trim();
}

export function api(
  lab: Lab,
  host: string,
  method: string,
  path: string,
  body?: unknown,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath: lab.socket(host), method, path }, (answer) => {
      let text = "";
      answer.on("data", (chunk: Buffer) => {
        text += chunk.toString();
      });
      answer.on("end", () =>
        (answer.statusCode ?? 500) < 400 ? resolve(text) : reject(new Error(`${path}: ${text}`)),
      );
    });
    call.on("error", reject);
    if (body !== undefined) {
      call.setHeader("Content-Type", "application/json");
      call.write(JSON.stringify(body));
    }
    call.end();
  });
}

export interface NodeView {
  readonly Status: { readonly State: string };
  readonly Description: { readonly Hostname: string };
  readonly ManagerStatus?: { readonly Leader?: boolean; readonly Reachability?: string };
}

export async function nodes(lab: Lab, host = "h1"): Promise<readonly NodeView[]> {
  return JSON.parse(await api(lab, host, "GET", "/nodes")) as NodeView[];
}

export function createNetwork(lab: Lab, host: string, name: string, subnet?: string) {
  const ipam = subnet === undefined ? {} : { IPAM: { Config: [{ Subnet: subnet }] } };
  const body = { Name: name, Driver: "overlay", Attachable: true, ...ipam };
  return api(lab, host, "POST", "/networks/create", body);
}
