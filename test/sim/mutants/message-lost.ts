// Of what a node is told of its assignments each third message is lost, and nobody notices.
import type { Mutant } from "./mutant.js";

const LOST_EVERY = 3;

export const messageLost: Mutant = {
  name: "message-lost",
  found: /no agreement within 10000 ms: n\d+ holds other/,
  seeds: 30,
  member: ({ services: { dispatcher } }) => {
    const session = dispatcher.session.bind(dispatcher);
    let told = 0;
    dispatcher.session = (caller, incoming, send) =>
      session(caller, incoming, async (message) => {
        const isNews = message.message?.$case === "assignments" && !message.message.value.full;
        if (isNews && ++told % LOST_EVERY === 0) return;
        await send(message);
      });
  },
};
