// Networks made and removed, by who asks and by how many there are.
import type { Lab } from "../../test/netns/lab.js";
import { api, client, createNetwork } from "./clients.js";
import { heading, report, timed } from "./table.js";

export async function networks(lab: Lab, managers: number, runs: number): Promise<void> {
  const ms = { create: [] as number[], skein: [] as number[], api: [] as number[] };
  const remove: number[] = [];
  const flags = ["-d", "overlay", "--attachable", "measured"];
  for (let i = 0; i < runs; i++) {
    ms.create.push(await timed(() => client(lab, "h1", "docker", "network", "create", ...flags)));
    remove.push(await timed(() => client(lab, "h1", "docker", "network", "rm", "measured")));
    ms.skein.push(await timed(() => client(lab, "h1", "skein", "network", "create", ...flags)));
    await api(lab, "h1", "DELETE", "/networks/measured");
    ms.api.push(await timed(() => createNetwork(lab, "h1", "measured")));
    await api(lab, "h1", "DELETE", "/networks/measured");
  }
  heading(`networks, ${managers} manager${managers > 1 ? "s" : ""}`);
  report("`docker network create -d overlay --attachable`", ms.create);
  report("- the API call alone", ms.api);
  report("- by `skein`", ms.skein);
  report("`docker network rm`", remove);
}

/** The same API call with more and more networks there. Leaves none behind. */
export async function networkGrowth(lab: Lab, counts: readonly number[]): Promise<void> {
  heading("`network create`, the API call alone, as networks grow");
  const made: string[] = [];
  for (const count of counts) {
    while (made.length < count) {
      const batch = Array.from(
        { length: Math.min(32, count - made.length) },
        (_, i) => `many-${made.length + i}`,
      );
      await Promise.all(batch.map((name) => createNetwork(lab, "h1", name)));
      made.push(...batch);
    }
    const ms: number[] = [];
    for (let i = 0; i < 20; i++) {
      ms.push(await timed(() => createNetwork(lab, "h1", "one-more")));
      await api(lab, "h1", "DELETE", "/networks/one-more");
    }
    report(`with ${count} there`, ms);
  }
  while (made.length > 0) {
    const batch = made.splice(0, 32);
    await Promise.all(batch.map((name) => api(lab, "h1", "DELETE", `/networks/${name}`)));
  }
}
