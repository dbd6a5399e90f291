// docs/managers.md: every combination of what is wanted of a node, what the Raft group has of it, what its disk
// has and what it believes ends in the one state that is wanted, without a person, in bounded time.
import { describe, expect, test } from "vitest";
import type { RaftMember } from "../../proto/gen/raft.js";
import { Credentials, type RoleWord } from "../fakes/seat-credentials.js";
import { watchGroup, whatIsLeft } from "../fakes/seat-invariants.js";
import type { SeatNode } from "../fakes/seat-node.js";
import { SeatSwarm } from "../fakes/seat-swarm.js";

const OTHERS = ["n1", "n2", "n3"] as const;
const SUBJECT = "n4";
// The number of its seat, of one that it had before, and of those that nobody has any more.
const SEAT = 40;
const OLD_SEAT = 39;
const GONE = 90;

const credentials = await Credentials.of([...OTHERS, SUBJECT]);

const wanted = ["manager", "worker"] as const;
const seats = ["none", "learner", "voter"] as const;
const records = ["none", "its seat", "an old seat"] as const;
const disks = [
  "nothing",
  "a certificate",
  "an identity and no log",
  "a log as a learner",
  "a log as a voter",
  "a log of an old seat",
  "a log of an old seat as a learner",
  "a log of an old seat, whose others are gone",
] as const;
const certificates = ["manager", "worker"] as const;
const troubles = [
  "none",
  "its port is taken",
  "it is cut off",
  "its agent is killed",
  "the leader hands over",
] as const;

interface Case {
  readonly wanted: RoleWord;
  readonly seat: (typeof seats)[number];
  readonly record: (typeof records)[number];
  readonly disk: (typeof disks)[number];
  readonly certificate: RoleWord;
  readonly trouble: (typeof troubles)[number];
}

const CONVERGED_MS = 60_000;
const TROUBLE_MS = 15_000;
const REST_MS = 12_000;

function begin(given: Case): SeatSwarm {
  const voters = OTHERS.map((id, i) => ({
    id,
    wanted: "manager" as const,
    seat: { raftId: i + 1, learner: false },
  }));
  const recorded = { none: undefined, "its seat": SEAT, "an old seat": OLD_SEAT }[given.record];
  const seat =
    given.seat === "none" ? {} : { seat: { raftId: SEAT, learner: given.seat === "learner" } };
  const swarm = new SeatSwarm(credentials, [
    ...voters,
    { id: SUBJECT, wanted: given.wanted, recorded, ...seat },
  ]);
  const node = swarm.node(SUBJECT);
  node.disk.erase();
  node.certificate = given.certificate;
  lay(swarm, node, given.disk);
  return swarm;
}

function lay(swarm: SeatSwarm, node: SeatNode, what: Case["disk"]): void {
  const self = (raftId: number, learner: boolean): RaftMember => ({
    raftId,
    nodeId: node.id,
    addr: node.addr,
    learner,
  });
  const others = swarm.group().filter(({ nodeId }) => nodeId !== node.id);
  const strangers = [1, 2].map((i) => ({
    raftId: GONE + i,
    nodeId: `gone${i}`,
    addr: `10.0.9.${i}:2377`,
    learner: false,
  }));
  const seated = (member: RaftMember, beside: readonly RaftMember[]) => {
    swarm.giveIdentity(node, member.raftId, others[0]?.addr);
    // Of the place in the log where it was a learner, not of where it votes.
    swarm.giveLog(node, [...beside, member], member.learner ? 1 : 0);
  };
  switch (what) {
    case "nothing":
      break;
    case "a certificate":
      node.disk.tls = credentials.identity(node.id, "manager");
      break;
    case "an identity and no log":
      swarm.giveIdentity(node, SEAT, others[0]?.addr);
      break;
    case "a log as a learner":
      seated(self(SEAT, true), others);
      break;
    case "a log as a voter":
      seated(self(SEAT, false), others);
      break;
    case "a log of an old seat":
      seated(self(OLD_SEAT, false), others);
      break;
    case "a log of an old seat as a learner":
      seated(self(OLD_SEAT, true), others);
      break;
    case "a log of an old seat, whose others are gone":
      seated(self(OLD_SEAT, false), strangers);
      break;
  }
}

async function trouble(swarm: SeatSwarm, given: Case): Promise<void> {
  const node = swarm.node(SUBJECT);
  switch (given.trouble) {
    case "none":
      swarm.start();
      return;
    case "its port is taken":
      node.portTaken = true;
      swarm.start();
      await swarm.pass(TROUBLE_MS);
      node.portTaken = false;
      return;
    case "it is cut off":
      swarm.network.cut(node.addr);
      swarm.start();
      await swarm.pass(TROUBLE_MS);
      swarm.network.heal(node.addr);
      return;
    case "its agent is killed":
      swarm.start();
      await swarm.pass(2_000);
      node.killAgent();
      node.process?.kill();
      await swarm.pass(1_000);
      node.startAgent();
      return;
    case "the leader hands over":
      swarm.start();
      await swarm.until(
        () => swarm.maybeLeader() !== undefined,
        10_000,
        () => "nobody leads",
      );
      await swarm.pass(300);
      await swarm.handOver();
      return;
  }
}

async function converges(given: Case): Promise<void> {
  const swarm = begin(given);
  const watch = watchGroup(swarm, OTHERS);
  try {
    await trouble(swarm, given);
    await swarm.until(
      () => whatIsLeft(swarm, SUBJECT) === "",
      CONVERGED_MS,
      () => whatIsLeft(swarm, SUBJECT),
    );
    const seat = swarm.node(SUBJECT).raftId;
    await swarm.pass(REST_MS);
    expect(whatIsLeft(swarm, SUBJECT)).toBe("");
    expect(swarm.node(SUBJECT).raftId).toBe(seat);
    expect(watch.broken).toEqual([]);
  } finally {
    swarm.stop();
  }
}

// Each combination with one trouble, so chosen that each trouble meets each value of each of them (5 has no
// factor in common with their counts); SEATS=all is every combination with every trouble.
let turn = 0;
const troublesOf = () => {
  if (process.env["SEATS"] === "all") return troubles;
  return [troubles[turn++ % troubles.length] ?? "none"];
};

for (const role of wanted) {
  for (const seat of seats) {
    for (const record of records) {
      describe(`a node that is wanted as a ${role}, has in the group ${seat}, in the store ${record}`, () => {
        for (const disk of disks) {
          const cases = certificates.flatMap((certificate) =>
            troublesOf().map((trouble) => ({
              wanted: role,
              seat,
              record,
              disk,
              certificate,
              trouble,
            })),
          );
          test(`and on its disk ${disk}`, async () => {
            const failed: string[] = [];
            for (const given of cases) {
              await converges(given).catch((error: unknown) => {
                failed.push(
                  `${given.certificate}'s certificate, ${given.trouble}: ${String(error)}`,
                );
              });
            }
            expect(failed).toEqual([]);
          });
        }
      });
    }
  }
}
