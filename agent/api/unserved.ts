// What of Docker's API answers 501 in this release, with a sentence each. A path in neither table is 404
// "page not found", as in dockerd.
import { unserved } from "./http-error.js";
import { type Route, route } from "./router.js";

const NO_BUILD = "building images is";
const NO_PLUGINS = "plugins are";

const UNSERVED: readonly (readonly [method: string, pattern: string, what: string])[] = [
  ["POST", "/build", NO_BUILD],
  ["POST", "/build/cancel", NO_BUILD],
  ["POST", "/commit", "making an image of a container is"],
  ["POST", "/session", "build sessions are"],
  ["POST", "/grpc", "build sessions are"],
  ["PUT", "/volumes/{name}", "cluster volumes are"],
  ["GET", "/plugins/privileges", NO_PLUGINS],
  ["POST", "/plugins/pull", NO_PLUGINS],
  ["POST", "/plugins/create", NO_PLUGINS],
  ["GET", "/containers/{id}/changes", "a container's own file system is"],
  ["GET", "/containers/{id}/export", "a container's own file system is"],
  ["GET", "/containers/{id}/attach/ws", "attaching over WebSocket is"],
];

export const UNSERVED_ROUTES: readonly Route[] = [
  ...UNSERVED.map(([method, pattern, what]) =>
    route(method, pattern, () => {
      throw unserved(what);
    }),
  ),
];
