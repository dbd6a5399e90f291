// Three managers are killed, stopped, cut off and made deaf or mute, the leader first, while people read and write through
// the API of each; then it is checked that what they were told is linearizable (docs/consensus.md). The simulator does the
// same with thousands of histories on virtual time; here are the real processes, kernel and wires.
//
// SKEIN_HISTORY_SECONDS makes it longer, SKEIN_HISTORY_SEED repeats a run's choices (not its timing).
import { afterAll, beforeAll, expect, test } from "vitest";
import { seededRandom } from "../../common/random.js";
import { findUnordered, firstWrong, told } from "../sim/linearizable.js";
import { REGISTER } from "../sim/swarm/registers.js";
import { HistoryClients } from "./history-clients.js";
import { Lab, until } from "./lab.js";
import { callApi } from "./local-api.js";
import { processesOf } from "./truth.js";

const SECONDS = Number(process.env["SKEIN_HISTORY_SECONDS"] ?? 12);
const SEED = Number(process.env["SKEIN_HISTORY_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
// A long run is looked at piece by piece, each with keys of its own.
const ROUND_SECONDS = 20;
const HOSTS = ["h1", "h2", "h3"];
const CLIENTS_PER_HOST = 3;

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.up("history", HOSTS.length);
  await lab.swarm("manager");
});
afterAll(() => lab?.down());

interface Raft {
  readonly Term: number;
  readonly LeaderNodeID: string;
  readonly Members: readonly { readonly NodeID: string; readonly Addr: string }[];
}

/** Who leads as `hosts` say, the last term first; undefined: none of them knows. */
async function leaderBy(hosts: readonly string[]): Promise<string | undefined> {
  let last: { readonly term: number; readonly addr: string } | undefined;
  for (const host of hosts) {
    const answer = await callApi(lab.socket(host), "GET", "/skein/v1/raft", undefined, 500);
    if (answer.status !== 200) continue;
    const { Term, LeaderNodeID, Members } = JSON.parse(answer.body) as Raft;
    const addr = Members.find(({ NodeID }) => NodeID === LeaderNodeID)?.Addr;
    if (addr !== undefined && (last === undefined || Term > last.term)) last = { term: Term, addr };
  }
  return lab.hosts.find(({ address }) => last?.addr.startsWith(`${address}:`))?.name;
}

/** The others have another leader, if it was `host`, and people have been served since. */
async function servedWithout(host: string, clients: HistoryClients): Promise<void> {
  const others = HOSTS.filter((each) => each !== host);
  await until(`another than ${host} leads`, async () => {
    const leader = await leaderBy(others);
    return leader !== undefined && leader !== host;
  });
  await someAnswers(clients);
}

async function someAnswers(clients: HistoryClients): Promise<void> {
  const before = clients.answered;
  await until("people are served", () => clients.answered >= before + 40);
}

function pidOf(host: string, daemon: "agent" | "manager"): number | undefined {
  const { daemons } = processesOf(lab, host);
  const line = daemons.find((each) => each.includes(`/${daemon}/main.js `));
  return line === undefined ? undefined : Number(line.split(" ")[1]);
}

function kill(host: string, daemon: "agent" | "manager", signal: NodeJS.Signals): void {
  const pid = pidOf(host, daemon);
  if (pid !== undefined) process.kill(pid, signal);
}

/** Frames of other hosts are dropped on the way in or out; one's own remain. */
async function filtered(host: string, hook: "input" | "output", work: () => Promise<void>) {
  const device = hook === "input" ? "iifname" : "oifname";
  const rules = `table inet history { chain cut { type filter hook ${hook} priority 0; ${device} eth0 drop; }; }`;
  await lab.ok(host, "nft", rules);
  try {
    await work();
  } finally {
    await lab.ok(host, "nft", "delete", "table", "inet", "history");
  }
}

type Fault = (host: string, clients: HistoryClients) => Promise<void>;
const FAULTS: Readonly<Record<string, Fault>> = {
  cut: async (host, clients) => {
    await lab.must("cut", host);
    try {
      await servedWithout(host, clients);
    } finally {
      await lab.must("heal");
    }
  },
  stopped: async (host, clients) => {
    kill(host, "manager", "SIGSTOP");
    try {
      await servedWithout(host, clients);
    } finally {
      kill(host, "manager", "SIGCONT");
    }
  },
  killed: async (host, clients) => {
    kill(host, "manager", "SIGKILL");
    // It may be back, and lead again, before the others miss it.
    await someAnswers(clients);
  },
  crashed: async (host, clients) => {
    kill(host, "agent", "SIGKILL");
    kill(host, "manager", "SIGKILL");
    try {
      await servedWithout(host, clients);
    } finally {
      await lab.must("start", host);
    }
  },
  deaf: (host, clients) => filtered(host, "input", () => servedWithout(host, clients)),
  mute: (host, clients) => filtered(host, "output", () => servedWithout(host, clients)),
};

async function round(number: number, endMs: number): Promise<void> {
  // What people do takes as many turns as there is time for; the faults have chances of their own.
  const chances = seededRandom(SEED + number);
  const random = seededRandom(SEED - number);
  const clients = new HistoryClients(lab, number, (below) => chances.below(below));
  await clients.prepare();
  clients.start(CLIENTS_PER_HOST);
  const journal: string[] = [];
  const kinds = Object.keys(FAULTS).sort(() => random.below(3) - 1);
  try {
    await someAnswers(clients);
    for (let i = 0; performance.now() < endMs; i++) {
      const leader = await until("somebody leads", () => leaderBy(HOSTS));
      const kind = kinds[i % kinds.length] ?? "";
      const host = random.below(4) > 0 ? leader : (HOSTS[random.below(HOSTS.length)] ?? leader);
      journal.push(
        `${performance.now().toFixed(0)} ${host}${host === leader ? ", who leads," : ""} ${kind}`,
      );
      await FAULTS[kind]?.(host, clients);
      await someAnswers(clients);
    }
  } finally {
    await clients.stop();
  }
  await until("all is read once more, by every manager", () => clients.readAll());
  const counts = [...clients.counts].sort().map(([what, count]) => `${count} × ${what}`);
  const unordered = findUnordered(clients.history, REGISTER);
  if (process.env["SKEIN_HISTORY_SHOW"] !== undefined)
    console.log([...journal, ...counts, `${clients.history.length} calls`].join("\n"));
  expect(clients.answered).toBeGreaterThan(100);
  if (unordered !== undefined) {
    throw new Error(
      [
        `seed ${SEED}: not linearizable, for this answer cannot be:`,
        told([firstWrong(unordered, REGISTER)].flatMap((call) => call ?? [])),
        ...journal,
        ...counts,
        told(unordered),
      ].join("\n"),
    );
  }
}

test(
  "what people are told is linearizable, whatever happens to the managers",
  async () => {
    const endMs = performance.now() + SECONDS * 1000;
    for (let number = 1; performance.now() < endMs; number++) {
      await round(number, Math.min(endMs, performance.now() + ROUND_SECONDS * 1000));
    }
  },
  SECONDS * 1000 + 120_000,
);
