// What `swarm init` asks for when a person says nothing more.
import type { InitSwarm } from "../../agent/seams.js";
import { Availability } from "../../proto/gen/types.js";

export const PLAIN_INIT: InitSwarm = {
  listenAddr: "",
  advertiseAddr: "",
  dataPathAddr: "",
  dataPathPort: 0,
  availability: Availability.ACTIVE,
  forceNewCluster: false,
  defaultAddrPools: [],
  subnetSize: 0,
  spec: undefined,
};
