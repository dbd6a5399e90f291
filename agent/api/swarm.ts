// /swarm: being in one. Init, join and leave are this node's own; the rest asks the manager.
import { formatUnlockKey } from "../../common/unlock-key.js";
import { Availability } from "../../proto/gen/types.js";
import { type Answer, empty, json } from "./answer.js";
import { type Call, queryFlag, queryNumber, queryText } from "./call.js";
import { signingCaIn, specFromJson, swarmJson } from "./cluster-json.js";
import { badRequest, HttpError, here, unserved } from "./http-error.js";
import { flagIn, numberIn, objectIn, objectOf, textIn, textsIn } from "./json.js";
import { ask, getCluster, manager } from "./manager.js";
import { parseAvailability } from "./node-json.js";
import { type Route, route } from "./router.js";

export const SWARM_ROUTES: readonly Route[] = [
  route("GET", "/swarm", async (call) => json(swarmJson(await getCluster(call)))),
  route("POST", "/swarm/init", init),
  route("POST", "/swarm/join", join),
  route("POST", "/swarm/leave", leave),
  route("POST", "/swarm/update", update),
  route("GET", "/swarm/unlockkey", unlockKey),
  route("POST", "/swarm/unlock", unlock),
];

async function init(call: Call): Promise<Answer> {
  const body = objectOf(await call.body(), "swarm init request");
  const spec = specFromJson(objectIn(body, "Spec"));
  if (Object.values(signingCaIn(objectIn(body, "Spec"))).some(({ length }) => length > 0)) {
    throw unserved("a certificate authority of one's own from the beginning is");
  }
  const made = await call.node.membership.init({
    listenAddr: textIn(body, "ListenAddr"),
    advertiseAddr: textIn(body, "AdvertiseAddr"),
    dataPathAddr: textIn(body, "DataPathAddr"),
    dataPathPort: portIn(numberIn(body, "DataPathPort") ?? 0),
    availability: parseAvailability(textIn(body, "Availability"), Availability.ACTIVE),
    forceNewCluster: flagIn(body, "ForceNewCluster"),
    defaultAddrPools: textsIn(body, "DefaultAddrPool"),
    subnetSize: maskIn(numberIn(body, "SubnetSize") ?? 0),
    spec: { ...spec, autolockManagers: spec.autolockManagers || flagIn(body, "AutoLockManagers") },
  });
  return json(here(made).nodeId);
}

async function join(call: Call): Promise<Answer> {
  const body = objectOf(await call.body(), "swarm join request");
  const joined = await call.node.membership.join({
    listenAddr: textIn(body, "ListenAddr"),
    advertiseAddr: textIn(body, "AdvertiseAddr"),
    dataPathAddr: textIn(body, "DataPathAddr"),
    availability: parseAvailability(textIn(body, "Availability"), Availability.ACTIVE),
    remoteAddrs: textsIn(body, "RemoteAddrs"),
    token: textIn(body, "JoinToken"),
  });
  here(joined);
  return empty(200);
}

async function leave(call: Call): Promise<Answer> {
  here(await call.node.membership.leave(queryFlag(call, "force")));
  return empty(200);
}

async function update(call: Call): Promise<Answer> {
  await manager(call);
  const body = objectOf(await call.body(), "swarm spec");
  const spec = specFromJson(body);
  const version = queryNumber(call, "version", -1);
  if (version < 0) throw badRequest(`invalid swarm version '${queryText(call, "version")}'`);
  await ask(call, (client) => client.updateCluster, {
    version,
    spec,
    ...signingCaIn(body),
    rotateWorkerToken: queryFlag(call, "rotateWorkerToken"),
    rotateManagerToken: queryFlag(call, "rotateManagerToken"),
    rotateUnlockKey: queryFlag(call, "rotateManagerUnlockKey"),
    dataPathPort: portIn(queryNumber(call, "dataPathPort", 0)),
  });
  return empty(200);
}

async function unlockKey(call: Call): Promise<Answer> {
  const { key } = await ask(call, (client) => client.getUnlockKey, {}, true);
  return json({ UnlockKey: formatUnlockKey(key) });
}

async function unlock(call: Call): Promise<Answer> {
  const body = objectOf(await call.body(), "swarm unlock request");
  const refusal = await call.node.membership.unlock(textIn(body, "UnlockKey"));
  // dockerd has a code of its own for this one (errInvalidUnlockKey).
  if (refusal?.code === "permission-denied") throw new HttpError(401, refusal.message);
  here(refusal);
  return empty(200);
}

function portIn(port: number): number {
  if (port >= 0 && port <= 65_535) return port;
  throw badRequest(`invalid data path port ${port}: it must be 1024-49151`);
}

function maskIn(length: number): number {
  if (length >= 0 && length <= 32) return length;
  throw badRequest(`subnet size ${length} is not between 0 and 32`);
}
