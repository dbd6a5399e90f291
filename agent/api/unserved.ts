// What of Docker's API answers 501 in this release, with a sentence each. A path in neither table is 404
// "page not found", as in dockerd.
import { unserved } from "./http-error.js";
import { manager } from "./manager.js";
import { type Route, route } from "./router.js";

const NO_IMAGES = 'container images (this machine\'s own commands run as the image "process") are';
const NO_VOLUMES = "volumes are";
const NO_PLUGINS = "plugins are";

export const UNSERVED: readonly (readonly [method: string, pattern: string, what: string])[] = [
  ["POST", "/images/create", NO_IMAGES],
  ["POST", "/images/load", NO_IMAGES],
  ["POST", "/images/{name}/push", NO_IMAGES],
  ["POST", "/images/{name}/tag", NO_IMAGES],
  ["GET", "/images/search", NO_IMAGES],
  ["GET", "/images/get", NO_IMAGES],
  ["GET", "/images/{name}/get", NO_IMAGES],
  ["GET", "/images/{name}/history", NO_IMAGES],
  ["GET", "/distribution/{name}/json", NO_IMAGES],
  ["POST", "/build", NO_IMAGES],
  ["POST", "/build/cancel", NO_IMAGES],
  ["POST", "/commit", NO_IMAGES],
  ["POST", "/auth", "logging in to a registry is"],
  ["POST", "/session", "build sessions are"],
  ["POST", "/grpc", "build sessions are"],
  ["GET", "/system/df", "disk usage is"],
  ["POST", "/volumes/create", NO_VOLUMES],
  ["PUT", "/volumes/{name}", NO_VOLUMES],
  ["GET", "/plugins/privileges", NO_PLUGINS],
  ["POST", "/plugins/pull", NO_PLUGINS],
  ["POST", "/plugins/create", NO_PLUGINS],
  ["GET", "/containers/{id}/top", "listing a container's processes is"],
  ["GET", "/containers/{id}/changes", "a container's own file system is"],
  ["GET", "/containers/{id}/export", "a container's own file system is"],
  ["GET", "/containers/{id}/stats", "container statistics are"],
  ["GET", "/containers/{id}/archive", "a container's own file system is"],
  ["HEAD", "/containers/{id}/archive", "a container's own file system is"],
  ["PUT", "/containers/{id}/archive", "a container's own file system is"],
  ["POST", "/containers/{id}/update", "changing a container's limits is"],
  ["POST", "/containers/{id}/pause", "pausing a container is"],
  ["POST", "/containers/{id}/unpause", "pausing a container is"],
  ["GET", "/containers/{id}/attach/ws", "attaching over WebSocket is"],
];

/** Those that only a manager would do; a worker says that first. */
export const UNSERVED_ON_MANAGERS: typeof UNSERVED = [
  ["POST", "/services/create", "services are"],
  ["POST", "/secrets/create", "secrets are"],
  ["POST", "/configs/create", "configs are"],
];

export const UNSERVED_ROUTES: readonly Route[] = [
  ...UNSERVED.map(([method, pattern, what]) =>
    route(method, pattern, () => {
      throw unserved(what);
    }),
  ),
  ...UNSERVED_ON_MANAGERS.map(([method, pattern, what]) =>
    route(method, pattern, async (call) => {
      await manager(call);
      throw unserved(what);
    }),
  ),
];
