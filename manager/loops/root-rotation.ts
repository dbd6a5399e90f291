// Ends a rotation of the root when every node has moved, while this manager leads. What it waits for is in the log.
import type { Clock } from "../../common/clock.js";
import { isRefusal, messageOf } from "../../common/fault.js";
import { newJoinSecret } from "../../common/join-token.js";
import type { Logger } from "../../common/log.js";
import type { Random } from "../../common/random.js";
import { Signal } from "../../common/watch.js";
import { behind, finishRotation } from "../ca/root-rotation.js";
import type { Store } from "../store/store.js";
import type { Writer } from "./write.js";

// Choice: a person waits; looking costs a walk over the nodes.
const LOOK_MS = 200;

export interface RootRotationOptions {
  readonly store: Store;
  readonly writer: Writer;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export async function endRotations(options: RootRotationOptions, term: AbortSignal): Promise<void> {
  const { store, clock, log } = options;
  const news = new Signal();
  const unsubscribe = store.changes.subscribe(() => news.notify());
  try {
    while (!term.aborted) {
      if (store.view.cluster()?.rootRotation === undefined) {
        await news.wait(term);
        continue;
      }
      if (behind(store.view).length === 0) await finish(options);
      await clock.sleep(LOOK_MS, term);
    }
  } catch (error) {
    if (!term.aborted) log.error({ err: messageOf(error) }, "root rotation stopped");
  } finally {
    unsubscribe();
  }
}

async function finish({ writer, random, log }: RootRotationOptions): Promise<void> {
  const secrets = { worker: newJoinSecret(random), manager: newJoinSecret(random) };
  try {
    const done = await writer.write(
      (draft) => finishRotation(draft, secrets),
      (_view, cluster) => cluster,
    );
    if (done !== undefined && !isRefusal(done)) log.info({}, "root rotated");
  } catch (error) {
    log.warn({ err: messageOf(error) }, "end of the root rotation not written");
  }
}
