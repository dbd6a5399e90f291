// The real docker CLI's services, secrets, configs and stacks against the local API over a fake swarm, as
// dockerd's transcripts have them (services-script.ts).
import { afterAll, beforeAll, describe, test } from "vitest";
import { LogStream } from "../../proto/gen/control.js";
import { meant } from "./api-differences.js";
import { type ApiLab, apiLab } from "./api-lab.js";
import {
  comparableLines,
  Files,
  loosened,
  type ServicesStage,
  servicesScript,
} from "./services-script.js";
import { normalised, readTranscript } from "./transcript.js";

const API_VERSION = "1.41";
const files = new Files();
let lab: ApiLab;

beforeAll(async () => {
  lab = await apiLab();
  await files.make();
});
afterAll(async () => {
  await lab.close();
  await files.remove();
});

// The CLI watches for five seconds whether tasks stay; here service-create alone is watched to its end.
const LONG: readonly string[] = [
  "service-create-secret-config",
  "service-rollback",
  "service-scale",
  "service-scale-zero",
  "service-update",
  "service-update-bad-image-rollback",
];

const stage: ServicesStage = {
  run: (host, args, stdin) =>
    lab.hosts[host as "h1"].docker(args, { apiVersion: API_VERSION, stdin }),
  docker: (...args) => lab.hosts.h1.docker(args, { apiVersion: API_VERSION }),
  argsOf: ({ args, name }) => {
    if (name === "inspect-task") return ["inspect", taskOf("myservice")];
    return files.here(LONG.includes(name) ? [...args.slice(0, 2), "-d", ...args.slice(2)] : args);
  },
  meant,
  comparable: (text, transcript) =>
    comparableLines(transcript, loosened(normalised(files.there(text)))),
  patienceMs: 0,
};

function taskOf(service: string): string {
  const tasks = lab.hosts.h1.node.swarm?.work.tasks ?? [];
  return tasks.find(({ serviceName, slot }) => serviceName === service && slot === 1)?.id ?? "";
}

describe("a swarm of two managers and a worker", () => {
  test("is made", async () => {
    const { h1, h2, h3 } = lab.hosts;
    await h1.docker(["swarm", "init", "--advertise-addr", "192.168.133.1"]);
    for (const [host, role] of [
      [h2, "worker"],
      [h3, "manager"],
    ] as const) {
      const token = await h1.docker(["swarm", "join-token", "-q", role]);
      await host.docker(["swarm", "join", "--token", token.stdout.trim(), "192.168.133.1:2377"]);
    }
    const work = h1.node.swarm?.work;
    const line = (stream: LogStream, text: string) => ({ stream, data: Buffer.from(`${text}\n`) });
    work?.logs.set("chat", ({ status }) => [
      line(LogStream.STDOUT, `hello from ${status?.containerId.slice(0, 12)}`),
      line(LogStream.STDERR, "oops"),
    ]);
    work?.logs.set("withsec", () =>
      readTranscript("service-logs-secret")
        .stdout.trimEnd()
        .split("\n")
        .map((text) => line(LogStream.STDOUT, text)),
    );
  });
});

servicesScript(stage);
