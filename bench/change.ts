// How soon a name is known, and forgotten, on every node: a lab of 25 hosts, a container on each that asks every ten
// milliseconds, and an endpoint that comes to the first host's network and goes. `sudo scripts/bench change`.
//
//   HOSTS=25
//   RUNS=10
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Lab, until } from "../test/netns/lab.js";
import { api } from "./measure/clients.js";
import { heading, median, report } from "./measure/table.js";

const HOSTS = Number(process.env["HOSTS"] ?? 25);
const RUNS = Number(process.env["RUNS"] ?? 10);
const ASKER = join(fileURLToPath(new URL(".", import.meta.url)), "measure/asker.js");
const NS_PER_MS = 1e6;

const nowMs = () => Number(process.hrtime.bigint()) / NS_PER_MS;

type Asker = ReturnType<Lab["start"]>;

async function askers(lab: Lab): Promise<readonly Asker[]> {
  const all: Asker[] = [];
  for (const { name } of lab.hosts) {
    const words = ["run", "-d", "--name", `asker-${name}`, "--network", "overnet"];
    const id = await lab.skein(name, ...words, "--", "sleep", "1d");
    const pid = await lab.docker(name, "inspect", "-f", "{{.State.Pid}}", id);
    const asker = lab.start(name, "nsenter", `--net=/proc/${pid}/ns/net`, "node", ASKER);
    await until("it asks", () => asker.output().startsWith("ready"));
    all.push(asker);
  }
  return all;
}

/** When each of them had it, in ms after `fromMs`. */
async function heard(all: readonly Asker[], line: string, fromMs: number): Promise<number[]> {
  const moment = (asker: Asker) => {
    const said = asker.output().split("\n");
    return said.find((each) => each.startsWith(`${line} `))?.split(" ")[1];
  };
  return Promise.all(
    all.map(async (asker) => Number(await until(line, () => moment(asker))) / NS_PER_MS - fromMs),
  );
}

const lab = await Lab.up("bench-change", HOSTS);
try {
  await lab.swarm("worker");
  await lab.skein("h1", "network", "create", "-d", "overlay", "--attachable", "overnet");
  const all = await askers(lab);
  const known = { first: [] as number[], half: [] as number[], last: [] as number[] };
  const gone = { first: [] as number[], half: [] as number[], last: [] as number[] };
  const note = (to: typeof known, ms: readonly number[]) => {
    to.first.push(Math.min(...ms));
    to.half.push(median(ms));
    to.last.push(Math.max(...ms));
  };
  for (let i = 0; i < RUNS; i++) {
    const name = `new-${i}`;
    for (const [line, to] of [
      [name, known],
      [`!${name}`, gone],
    ] as const) {
      for (const asker of all) asker.write(line);
      // They ask before there is anything to tell.
      await new Promise((wake) => setTimeout(wake, 200));
      const fromMs = nowMs();
      await (to === known
        ? api(lab, "h1", "POST", "/skein/v1/attachments", { Network: "overnet", Name: name })
        : api(lab, "h1", "DELETE", `/skein/v1/attachments/${name}`));
      note(to, await heard(all, line, fromMs));
    }
  }
  heading(`a name on ${HOSTS} nodes, from the request to the answer (asked every 10 ms)`);
  for (const [what, to] of [
    ["comes", known],
    ["goes", gone],
  ] as const) {
    report(`${what}: the first node answers so`, to.first);
    report("- half of them", to.half);
    report("- every one", to.last);
  }
} finally {
  await lab.down();
}
