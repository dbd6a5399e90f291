// What holds of the Raft group at each moment while its members change: looked at on every leader, after each
// step of time.
import type { Member } from "../../manager/member.js";
import { Role } from "../../proto/gen/types.js";
import type { SeatSwarm } from "./seat-swarm.js";

export interface GroupWatch {
  /** What did not hold, each once. */
  readonly broken: readonly string[];
}

/** `steady` are managers that nobody wants otherwise and that nothing happens to: they keep their seats. */
export function watchGroup(swarm: SeatSwarm, steady: readonly string[]): GroupWatch {
  const broken = new Set<string>();
  const began = new Map(
    swarm.members.flatMap(({ id, seat }) => (steady.includes(id) ? [[id, seat?.raftId]] : [])),
  );
  swarm.onStep = () => {
    const leader = swarm.maybeLeader();
    if (leader === undefined) return;
    const { members } = leader.consensus.status();
    for (const id of new Set(members.map(({ nodeId }) => nodeId))) {
      const seats = members.filter(({ nodeId }) => nodeId === id);
      if (seats.length > 1) broken.add(`${id} has ${seats.length} seats`);
    }
    for (const [id, raftId] of began) {
      const kept = members.some((member) => member.nodeId === id && member.raftId === raftId);
      if (!kept) broken.add(`${id} has lost its seat`);
    }
    const voters = members.filter(({ learner }) => !learner);
    // A voter counts whose process has what it has acknowledged, and runs or may run again with it.
    const whole = voters.filter(({ nodeId, raftId }) => {
      const node = swarm.nodes.get(nodeId);
      return node?.disk.identity?.raftId === raftId || node?.raftId === raftId;
    });
    if (whole.length * 2 <= voters.length) {
      broken.add(`of ${voters.length} voters only ${whole.length} have their log`);
    }
  };
  return {
    get broken() {
      return [...broken];
    },
  };
}

function seatsKnownTo({ store, consensus }: Member): string {
  const rows = [...store.view.nodes()].map(({ id, spec, manager }) => [
    id,
    spec?.role,
    manager?.raftId,
  ]);
  const members = consensus.status().members.map(({ raftId, learner }) => [raftId, learner]);
  return JSON.stringify([rows.sort(), members]);
}

/** Why the node is not what is wanted of it, through and through; empty when it is. */
export function whatIsLeft(swarm: SeatSwarm, id: string): string {
  const leader = swarm.maybeLeader();
  if (leader === undefined) return "nobody leads";
  const node = swarm.node(id);
  const row = leader.store.view.node(id);
  const members = leader.consensus.status().members.filter(({ nodeId }) => nodeId === id);
  const [member] = members;
  const seats = members.map(({ raftId, learner }) => `${raftId}${learner ? " learner" : ""}`);
  const facts = {
    seats: seats.join(" "),
    recorded: row?.manager?.raftId,
    role: row?.role,
    certificate: node.certificate,
    process: node.raftId ?? (node.process ? "no seat" : "none"),
    disk: node.disk.identity?.raftId,
    // What it knows of the nodes' seats, if it manages: as the leader does.
    knows: node.process?.member && seatsKnownTo(node.process.member),
  };
  // Of a node that was taken out of the swarm the rest is its own: it is told so when it asks.
  if (row === undefined) return facts.seats === "" ? "" : `${id} is out, and has ${facts.seats}`;
  const want =
    row.spec?.role === Role.MANAGER
      ? {
          seats: `${member?.raftId ?? "one"}`,
          recorded: member?.raftId,
          role: Role.MANAGER,
          certificate: "manager",
          process: member?.raftId,
          disk: member?.raftId,
          knows: seatsKnownTo(leader),
        }
      : {
          seats: "",
          recorded: undefined,
          role: Role.WORKER,
          certificate: "worker",
          process: "none",
          disk: undefined,
          knows: undefined,
        };
  const isSettled = JSON.stringify(facts) === JSON.stringify(want);
  return isSettled ? "" : `${id}: ${JSON.stringify(facts)}; ${node.problem}`;
}
