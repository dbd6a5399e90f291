// Every path that is answered. The order matters only where a fixed segment and a parameter could both
// match ("/networks/create" is a POST that no other pattern of its length takes).

import { STREAM_ROUTES } from "./container-streams.js";
import { CONTAINER_ROUTES } from "./containers.js";
import { EVENT_ROUTES } from "./events.js";
import { EXEC_ROUTES } from "./execs.js";
import { LIST_ROUTES } from "./lists.js";
import { NETWORK_ROUTES } from "./networks.js";
import { NODE_ROUTES } from "./nodes.js";
import type { Route } from "./router.js";
import { SKEIN_ROUTES } from "./skein-v1.js";
import { SWARM_ROUTES } from "./swarm.js";
import { SYSTEM_ROUTES } from "./system.js";
import { UNSERVED_ROUTES } from "./unserved.js";

export const ROUTES: readonly Route[] = [
  ...SYSTEM_ROUTES,
  ...EVENT_ROUTES,
  ...SWARM_ROUTES,
  ...NODE_ROUTES,
  ...NETWORK_ROUTES,
  ...CONTAINER_ROUTES,
  ...STREAM_ROUTES,
  ...EXEC_ROUTES,
  ...SKEIN_ROUTES,
  ...UNSERVED_ROUTES,
  ...LIST_ROUTES,
];
