// A network's first address is the free one, always; and nobody has it, for who looks whether it is taken.
import type { Mutant } from "./mutant.js";

export const addressTwice: Mutant = {
  name: "address-twice",
  found: /address \S+ of network \S+ is given to \S+ and to \S+/,
  seeds: 30,
  member: ({ store }) => {
    const forget = () => {
      const { view } = store;
      const first = new Map<string, string | undefined>();
      const lowest = view.lowestFreeAddress.bind(view);
      view.lowestFreeAddress = (networkId, cidr) => {
        const key = `${networkId} ${cidr}`;
        if (!first.has(key)) first.set(key, lowest(networkId, cidr));
        return first.get(key);
      };
      view.addressHolder = () => undefined;
      view.macHolder = () => undefined;
    };
    forget();
    // A restored snapshot brings an index of its own.
    store.changes.subscribe(({ restored }) => restored && forget());
  },
};
