// Every path that is answered. The order matters only where a fixed segment and a parameter could both
// match ("/networks/create" is a POST that no other pattern of its length takes).

import { CAPTURE_ROUTES } from "./capture.js";
import { ARCHIVE_ROUTES } from "./container-archive.js";
import { STREAM_ROUTES } from "./container-streams.js";
import { USE_ROUTES } from "./container-use.js";
import { CONTAINER_ROUTES } from "./containers.js";
import { DISK_USAGE_ROUTES } from "./disk-usage.js";
import { EVENT_ROUTES } from "./events.js";
import { EXEC_ROUTES } from "./execs.js";
import { IMAGE_ROUTES } from "./images.js";
import { LIST_ROUTES } from "./lists.js";
import { NETWORK_ROUTES } from "./networks.js";
import { NODE_ROUTES } from "./nodes.js";
import { PING_ROUTES } from "./ping.js";
import { POLICY_ROUTES } from "./policies.js";
import { RATE_ROUTES } from "./rates.js";
import { RECOVERY_ROUTES } from "./recovery.js";
import type { Route } from "./router.js";
import { SECRET_ROUTES } from "./secrets.js";
import { SERVICE_LOG_ROUTES } from "./service-logs.js";
import { SERVICE_ROUTES } from "./services.js";
import { SKEIN_ROUTES } from "./skein-v1.js";
import { SWARM_ROUTES } from "./swarm.js";
import { SYSTEM_ROUTES } from "./system.js";
import { TASK_ROUTES } from "./tasks.js";
import { TRACE_ROUTES } from "./trace.js";
import { UNSERVED_ROUTES } from "./unserved.js";
import { VOLUME_ROUTES } from "./volumes.js";

export const ROUTES: readonly Route[] = [
  ...SYSTEM_ROUTES,
  ...EVENT_ROUTES,
  ...SWARM_ROUTES,
  ...NODE_ROUTES,
  ...SERVICE_ROUTES,
  ...SERVICE_LOG_ROUTES,
  ...TASK_ROUTES,
  ...SECRET_ROUTES,
  ...NETWORK_ROUTES,
  ...CONTAINER_ROUTES,
  ...ARCHIVE_ROUTES,
  ...USE_ROUTES,
  ...STREAM_ROUTES,
  ...EXEC_ROUTES,
  ...IMAGE_ROUTES,
  ...VOLUME_ROUTES,
  ...DISK_USAGE_ROUTES,
  ...SKEIN_ROUTES,
  ...RECOVERY_ROUTES,
  ...PING_ROUTES,
  ...CAPTURE_ROUTES,
  ...TRACE_ROUTES,
  ...RATE_ROUTES,
  ...POLICY_ROUTES,
  ...UNSERVED_ROUTES,
  ...LIST_ROUTES,
];
