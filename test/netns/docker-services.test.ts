// The real docker CLI's services, secrets, configs and stacks on real daemons: three hosts, containerd, and an
// image made of busybox; said as dockerd's transcripts have it (test/contract/services-script.ts).
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  comparableLines,
  Files,
  loosened,
  type ServicesStage,
  servicesScript,
} from "../contract/services-script.js";
import { normalised } from "../contract/transcript.js";
import { meantOfServices } from "./docker-services-differences.js";
import { Lab, type Result, until } from "./lab.js";

// What dockerd of the transcripts speaks.
const API_VERSION = "1.41";
const PATIENCE_MS = 20_000;

let lab: Lab;
const files = new Files();

beforeAll(async () => {
  lab = await Lab.up("dockersvc", 3);
  await files.make();
  await lab.must("images", "alpine");
  for (const { name } of lab.hosts) await lab.docker(name, "tag", "alpine", "nettools");
});
afterAll(async () => {
  await lab?.down();
  await files.remove();
});

function docker(host: string, args: readonly string[], stdin = ""): Promise<Result> {
  const env = ["TZ=UTC", `DOCKER_API_VERSION=${API_VERSION}`];
  return lab.on(host, "sh", "-c", 'printf %s "$0" | env "$@"', stdin, ...env, "docker", ...args);
}

const stage: ServicesStage = {
  run: async (host, args, stdin) => {
    const { code, ...said } = await docker(host, args, stdin);
    return { exitCode: code, ...said };
  },
  docker: async (...args) => {
    const { code, ...said } = await docker("h1", args);
    return { exitCode: code, ...said };
  },
  argsOf: async ({ args, name }) => {
    if (name !== "inspect-task") return files.here(args);
    const first = [
      "service",
      "ps",
      "-q",
      "--no-trunc",
      "--filter",
      "name=myservice.1",
      "myservice",
    ];
    return ["inspect", (await docker("h1", first)).stdout.trim()];
  },
  meant: meantOfServices,
  comparable: (text, transcript) =>
    // Two streams have no order between them: which line of an instant is the last is anyone's.
    transcript.name === "service-logs-timestamps-tail"
      ? ""
      : comparableLines(transcript, loosened(normalised(files.there(text)))),
  patienceMs: PATIENCE_MS,
};

describe("a swarm of two managers and a worker", () => {
  test("is made", async () => {
    await lab.docker("h1", "swarm", "init", "--advertise-addr", "192.168.33.10");
    for (const [host, role] of [
      ["h2", "worker"],
      ["h3", "manager"],
    ] as const) {
      const token = await lab.token("h1", role);
      await lab.docker(host, "swarm", "join", "--token", token, "192.168.33.10:2377");
    }
    await until("all nodes are ready", async () => {
      const states = await lab.docker("h1", "node", "ls", "--format", "{{.Status}}");
      return states.split("\n").every((state) => state === "Ready");
    });
  });
});

servicesScript(stage);

describe("afterwards", () => {
  test("a port of a host leads to the task on it, from another host (curl-published-host-mode-h1)", async () => {
    const get = 'fetch("http://192.168.33.10:8081/").then((r) => r.text()).then(console.log)';
    const answer = await until("it answers", async () => {
      const { code, stdout } = await lab.on("h2", process.execPath, "-e", get);
      return code === 0 && stdout.trim();
    });
    expect(answer).toMatch(/^[0-9a-f]{12}$/);
  });

  test("no container of a service that was removed is left on any host", async () => {
    const names = (await lab.docker("h1", "service", "ls", "--format", "{{.Name}}")).split("\n");
    for (const name of names.filter(Boolean)) await lab.docker("h1", "service", "rm", name);
    for (const { name } of lab.hosts) {
      const left = async () => (await lab.docker(name, "ps", "-q")) === "";
      expect(await until(`${name} has no container left`, left)).toBe(true);
    }
  });
});
