// Endpoints come, move and go, addresses are given again, agents are killed and tables are meddled with, on real kernels:
// in the end every host's tables are the model's, and frames go where they should. The same in memory, with many more
// histories and every step looked at: agent/reconcile/history.test.ts.
import { afterAll, beforeAll, expect, test } from "vitest";
import { seededRandom } from "../../common/random.js";
import { hostWant, idOf, networkWant, station, VNI } from "./guard-net.js";
import { type Host, inside, Lab } from "./kernel-lab.js";

// A failure shows it, and this makes the same history again.
const SEED = Number(process.env.SKEIN_TEST_SEED ?? Math.floor(Math.random() * 2 ** 31));
const CHANGES = 25;
const STATIONS = [2, 3, 4, 5, 6];

let lab: Lab;
beforeAll(() => {
  lab = new Lab(`${process.env.SKEIN_TEST_PREFIX ?? "skh"}`, 3);
  for (const host of lab.hosts) host.start();
});
afterAll(() => lab?.down());

async function tell(host: Host, homes: ReadonlyMap<number, Host>): Promise<void> {
  const want = networkWant(host, homes);
  const isHere = want.locals.length > 0;
  const { problems } = await host.set(isHere ? hostWant(want) : { sandboxes: [], networks: [] });
  expect(problems, `seed ${SEED}`).toEqual({});
}

interface Row {
  readonly mac: string;
  readonly dst?: string;
  readonly lladdr?: string;
  readonly state?: readonly string[] | string;
}

test("in the end every kernel holds the model, and frames go where it says", async () => {
  const random = seededRandom(SEED);
  const pick = <T>(list: readonly T[]): T => list[random.below(list.length)] as T;
  const homes = new Map<number, Host>();
  for (let i = 0; i < CHANGES; i++) {
    const n = pick(STATIONS);
    if (random.below(4) === 0) homes.delete(n);
    else homes.set(n, pick(lab.hosts));
    const host = pick(lab.hosts);
    const dice = random.below(10);
    if (dice === 0) {
      // In the middle of its work.
      host.tell({ call: "set", want: hostWant(networkWant(host, homes)) });
      await new Promise((resolve) => setTimeout(resolve, random.below(30)));
      await host.kill();
      host.start();
    } else if (dice === 1 && networkWant(host, homes).locals.length > 0) {
      await tell(host, homes);
      inside(host.net(VNI), "ip", "neigh", "flush", "dev", "br0", "nud", "permanent");
    } else if (dice < 7) await tell(host, homes);
  }
  for (const n of STATIONS) if (!homes.has(n)) homes.set(n, pick(lab.hosts));
  for (const host of lab.hosts) await tell(host, homes);
  for (const host of lab.hosts) {
    const want = networkWant(host, homes);
    if (want.locals.length === 0) continue;
    const net = host.net(VNI);
    const fdb = JSON.parse(inside(net, "bridge", "-j", "fdb", "show", "dev", "vxlan0")) as Row[];
    const rows = fdb.filter(({ dst, mac }) => dst && mac !== "00:00:00:00:00:00");
    const model = [...homes].filter(([, home]) => home !== host);
    const key = (text: string[]) => text.sort();
    expect(key(rows.map(({ mac, dst }) => `${mac} ${dst}`)), `seed ${SEED}`).toEqual(
      key(model.map(([n, home]) => `${station(n).mac} ${home.vtep}`)),
    );
    const shown = inside(net, "ip", "-4", "-j", "neigh", "show", "dev", "br0", "nud", "permanent");
    const neighbours = JSON.parse(shown || "[]") as { dst: string; lladdr: string }[];
    expect(key(neighbours.map(({ dst, lladdr }) => `${dst} ${lladdr}`)), `seed ${SEED}`).toEqual(
      key(model.map(([n]) => `${station(n).ipv4} ${station(n).mac}`)),
    );
  }
  for (const [n, home] of homes) {
    const targets = STATIONS.filter((each) => each !== n).map((each) => station(each).ipv4);
    const { outcomes = [] } = await home.ask({
      call: "ping",
      netns: home.sandbox(idOf(n)),
      targets,
    });
    const silent = outcomes
      .filter(({ rttsUs }) => rttsUs.length === 0)
      .map(({ address }) => address);
    expect([n, silent], `seed ${SEED}`).toEqual([n, []]);
  }
}, 120_000);
