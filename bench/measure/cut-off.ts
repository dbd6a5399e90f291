// A node's state as the managers see it, and moments at which to cut its link.
import { type Lab, until } from "../../test/netns/lab.js";
import { nodes } from "./clients.js";

// The swarm's heartbeat period.
const PERIOD_MS = 5_000;

export async function nodeIs(lab: Lab, host: string, state: string): Promise<void> {
  await until(
    `${host} is ${state}`,
    async () => {
      const node = (await nodes(lab)).find((each) => each.Description.Hostname === host);
      return node?.Status.State === state;
    },
    40_000,
  );
}

/** The moments are spread over the period: a heartbeat that was just sent, as after `heal`, is the slowest case. */
export async function momentOf(run: number, runs: number): Promise<void> {
  await new Promise((wake) => setTimeout(wake, (PERIOD_MS * (run + 0.5)) / runs));
}
