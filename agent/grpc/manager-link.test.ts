import { expect, test } from "vitest";
import { DEFAULT_TIMING } from "../../common/timing.js";
import { ManualClock } from "../../test/fakes/manual-clock.js";
import { LOCKED } from "../member/words.js";
import { GrpcManagerLink } from "./manager-link.js";

test("a node whose key is sealed asks no manager, and says at once that it is locked", async () => {
  const none = new Uint8Array();
  const identity = { key: none, certificate: none, root: none };
  const link = new GrpcManagerLink(identity, {
    timing: DEFAULT_TIMING,
    timeScale: 1,
    // Stands still: nothing that has to be waited for would come.
    clock: new ManualClock(),
    addresses: () => ["192.0.2.1:2377"],
  });
  await expect(link.findNetwork("web")).rejects.toThrow(LOCKED);
  link.close();
});
