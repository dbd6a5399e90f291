// The UDP port that frames go to, and how it becomes another while they flow. Three steps, each one entry of the log:
//
//   move begins     port P, also Q     everybody takes frames on both and sends to P
//   all take both   port Q, also P     everybody takes frames on both and sends to Q
//   all send to Q   port Q
//
// A node that cannot take frames on Q is a reason to go back to P alone: nobody has sent there yet.
import { type Refusal, refuse } from "../../common/fault.js";
import type { Cluster } from "../../proto/gen/types.js";
import type { Draft } from "../store/view.js";

// Docker's own (docs: `docker swarm init --data-path-port`).
export const DATA_PATH_PORT_DEFAULT = 4789;
const DATA_PATH_PORT_MIN = 1024;
const DATA_PATH_PORT_MAX = 49151;

export function checkDataPathPort(port: number): Refusal | undefined {
  if (port >= DATA_PATH_PORT_MIN && port <= DATA_PATH_PORT_MAX) return undefined;
  const range = `${DATA_PATH_PORT_MIN}-${DATA_PATH_PORT_MAX}`;
  return refuse("invalid-argument", `invalid data path port ${port}: it must be ${range}`);
}

type Way = Pick<Cluster, "dataPathPort" | "dataPathMove" | "dataPathProblem">;

/** What of the cluster changes so that frames will go to `wanted`; 0: nothing does. */
export function startedMove(before: Cluster, wanted: number): Partial<Way> | Refusal {
  if (wanted === 0) return {};
  const wrong = checkDataPathPort(wanted);
  if (wrong !== undefined) return wrong;
  const { dataPathPort, dataPathMove } = before;
  if (dataPathMove === undefined) {
    if (wanted === dataPathPort) return { dataPathProblem: "" };
    return { dataPathMove: { port: wanted, sending: false }, dataPathProblem: "" };
  }
  const target = dataPathMove.sending ? dataPathPort : dataPathMove.port;
  if (wanted === target) return {};
  // Nobody has sent to the new one yet.
  if (wanted === dataPathPort) return { dataPathMove: undefined };
  return refuse("failed-precondition", `the data path port is being changed to ${target} already`);
}

/** The next step of a move, when every node has done the last; without one, nothing. */
export function advanceMove(draft: Draft): Cluster | undefined {
  const before = draft.cluster();
  const move = before?.dataPathMove;
  if (before === undefined || move === undefined) return undefined;
  const way: Partial<Way> = move.sending
    ? { dataPathMove: undefined }
    : { dataPathPort: move.port, dataPathMove: { port: before.dataPathPort, sending: true } };
  const cluster: Cluster = { ...before, ...way };
  draft.update("cluster", cluster);
  return cluster;
}

/** A move that nobody has sent by yet is taken back, and it is remembered why. */
export function giveUpMove(draft: Draft, why: string): Cluster | undefined {
  const before = draft.cluster();
  if (before?.dataPathMove === undefined || before.dataPathMove.sending) return undefined;
  const cluster: Cluster = { ...before, dataPathMove: undefined, dataPathProblem: why };
  draft.update("cluster", cluster);
  return cluster;
}
