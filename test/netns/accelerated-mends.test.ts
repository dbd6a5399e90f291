// What somebody detaches of the accelerated data path is put back long before the next look, and counted: tcx says
// nothing of it, clsact does. The looks that come by themselves are put off so far that none comes.
import { closeSync, readdirSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { detachLink, linkInfo, pinned } from "../../agent/kernel/bpf-call.js";
import { hostWant, idOf, NET, network, pings, shortcut, until } from "./accelerated-lab.js";
import { type Host, inside, Lab } from "./kernel-lab.js";

const HOMES = { 2: 1, 3: 2 };
/** What a person who watches is promised. */
const MENDED_WITHIN_MS = 1_000;

let lab: Lab;

beforeAll(async () => {
  process.env.SKEIN_TEST_RESYNC_MS = "600000";
  lab = new Lab("skm", 2);
  lab.host(1).start("tcx");
  lab.host(2).start("clsact");
  delete process.env.SKEIN_TEST_RESYNC_MS;
  for (const number of [1, 2]) {
    const wanted = network(number, NET, "accelerated", { hosts: lab, who: HOMES });
    expect(await lab.host(number).set(hostWant([wanted]))).toHaveProperty("problems", {});
  }
  await shortcut(lab.host(1), sandbox(2), "10.0.1.3");
  await shortcut(lab.host(2), sandbox(3), "10.0.1.2");
});
afterAll(() => lab?.down());

function sandbox(n: 2 | 3): string {
  return lab.host(HOMES[n]).sandbox(idOf(n));
}

async function repairs(host: Host): Promise<number> {
  return (await host.ask({ call: "repairs" })).counts?.accelerate ?? 0;
}

/** A machine under load may be late once; it is not late each time. */
async function isMendedSoon(host: Host, damage: () => void, isWhole: () => boolean) {
  const tookMs: number[] = [];
  for (let time = 0; time < 3; time++) {
    const before = await repairs(host);
    damage();
    const beganMs = performance.now();
    await until("it is whole again", isWhole);
    tookMs.push(performance.now() - beganMs);
    // It may have been mended before anybody could look: that there was something to mend is what this says.
    await until("it was counted", async () => (await repairs(host)) > before);
    expect(pings(sandbox(2), "10.0.1.3")).toBe(true);
  }
  expect(Math.min(...tookMs)).toBeLessThan(MENDED_WITHIN_MS);
}

describe("by tcx", () => {
  /** Undefined: nothing is there now. */
  const link = <T>(key: RegExp, use: (fd: number) => T): T | undefined => {
    const folder = `${lab.host(1).runDir}/bpf/links`;
    const name = readdirSync(folder).find((each) => key.test(each));
    const fd = pinned(`${folder}/${name}`);
    if (fd === undefined) return undefined;
    try {
      return use(fd);
    } finally {
      closeSync(fd);
    }
  };

  test.each([
    ["an endpoint's", /-v-/],
    ["the underlay's", /^underlay-/],
    ["what takes frames from the pair into the network", /-enter$/],
    ["what takes frames from the pair to the wire", /-leave$/],
  ])("%s program", async (_what, key) => {
    await isMendedSoon(
      lab.host(1),
      () => link(key, detachLink),
      () => link(key, (fd) => linkInfo(fd).ifindex !== 0) === true,
    );
  });
});

describe("by clsact", () => {
  const places = {
    endpoint: () => [lab.host(2).net(NET), deviceIn(lab.host(2).net(NET), /v-[0-9a-f]{8}/)],
    enter: () => [lab.host(2).net(NET), "fast0"],
    leave: () => [lab.host(2).netns, deviceIn(lab.host(2).netns, /sk-\w+-4097/)],
    underlay: () => [lab.host(2).netns, "ul0"],
  } satisfies Record<string, () => [string, string]>;
  const deviceIn = (netns: string, name: RegExp) =>
    name.exec(inside(netns, "ip", "-br", "link"))?.[0] ?? "";
  const isWhole = ([netns, device]: [string, string]) =>
    inside(netns, "tc", "filter", "show", "dev", device, "ingress").includes("skein-");

  test.each(Object.entries(places))("%s: its filter", async (_what, place) => {
    const [netns, device] = place();
    await isMendedSoon(
      lab.host(2),
      () => inside(netns, "tc", "filter", "del", "dev", device, "ingress"),
      () => isWhole([netns, device]),
    );
  });

  test.each(Object.entries(places))("%s: its qdisc", async (_what, place) => {
    const [netns, device] = place();
    await isMendedSoon(
      lab.host(2),
      () => inside(netns, "tc", "qdisc", "del", "dev", device, "clsact"),
      () => isWhole([netns, device]),
    );
  });
});
