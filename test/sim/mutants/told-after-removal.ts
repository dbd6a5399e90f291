// A session says the last thing again to a node that it finds removed.
import { Refused } from "../../../common/fault.js";
import type { ManagerMessage } from "../../../proto/gen/dispatcher.js";
import type { Mutant } from "./mutant.js";

export const toldAfterRemoval: Mutant = {
  name: "told-after-removal",
  found: /n\d+ is told something by a manager that knows it to be removed/,
  seeds: 30,
  member: ({ services: { dispatcher } }) => {
    const session = dispatcher.session.bind(dispatcher);
    dispatcher.session = async (caller, incoming, send) => {
      let last: ManagerMessage | undefined;
      try {
        await session(caller, incoming, (message) => {
          last = message;
          return send(message);
        });
      } catch (error) {
        const isRemoved = error instanceof Refused && error.refusal.code === "permission-denied";
        if (isRemoved && last !== undefined) await send(last);
        throw error;
      }
    };
  },
};
