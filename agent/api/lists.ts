// What Docker has and a Skein of this release has none of: lists that are truly empty.
import { json } from "./answer.js";
import { type Route, route } from "./router.js";

export const LIST_ROUTES: readonly Route[] = [
  route("POST", "/build/prune", () => json({ CachesDeleted: null, SpaceReclaimed: 0 })),
  route("GET", "/plugins", () => json([])),
];
