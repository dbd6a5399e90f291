// Who asks when nobody asked this process: on the node's own socket its agent, elsewhere the process itself, of which its
// certificate says the rest.
import type { Caller } from "../seams.js";

export function itself(signal: AbortSignal): Caller {
  return {
    peer: undefined,
    local: true,
    forwarded: false,
    requestId: "",
    remoteAddr: "",
    signal,
  };
}
