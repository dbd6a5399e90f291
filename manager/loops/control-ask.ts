// How Control asks: reads behind a read barrier, writes through the writer, both on the leader.
import { isRefusal, type Refusal, refuse } from "../../common/fault.js";
import type { Caller, Consensus, LeaderLink } from "../seams.js";
import type { Outcomes, Store } from "../store/store.js";
import type { StoreView } from "../store/view.js";
import type { Router } from "./route.js";
import type { Request, Writer } from "./write.js";

export type There<T> = (leader: LeaderLink, caller: Caller) => Promise<T | Refusal>;

export class Ask {
  constructor(
    private readonly options: {
      readonly store: Store;
      readonly consensus: Consensus<Outcomes>;
      readonly writer: Writer;
      readonly router: Router;
    },
  ) {}

  read<T>(
    caller: Caller,
    answer: (view: StoreView) => T | Refusal,
    there: There<T>,
  ): Promise<T | Refusal> {
    const { router, consensus, store } = this.options;
    const here = async () => {
      await consensus.readBarrier(caller.signal);
      return answer(store.view);
    };
    return router.onLeader<T>(caller, here, there);
  }

  write<T>(
    caller: Caller,
    request: Request<string>,
    after: (view: StoreView, id: string) => T | Refusal,
    there: There<T>,
    settle?: (refusal: Refusal) => T | Refusal,
  ): Promise<T | Refusal> {
    const { router, writer } = this.options;
    const here = async () => {
      // `after` may itself refuse: what was written can be gone again by the time it is read.
      const answer = await writer.write(request, after);
      return answer as T | Refusal;
    };
    return router.onLeader<T>(caller, here, there, settle);
  }

  /** A removal that may have been done, and finds nothing now, was done. */
  doneIfGone(this: void, refusal: Refusal): Record<string, never> | Refusal {
    return refusal.code === "not-found" ? {} : refusal;
  }

  idOf(this: void, object: { readonly id: string } | Refusal): string | Refusal {
    return isRefusal(object) ? object : object.id;
  }

  gone(this: void, kind: string, id: string): Refusal {
    return refuse("not-found", `${kind} ${id} was removed again in the same moment`);
  }
}
