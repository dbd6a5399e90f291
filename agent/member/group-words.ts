// The managers as a person hears of them: in a sentence what is right or wrong with their group, and what to do. From
// what each of them says of itself, or why it says nothing.
import type { ManagerReport } from "../../proto/gen/admin.js";
import type { RaftReport } from "../../proto/gen/raft.js";
import { electionSentence, latestLost } from "./election-words.js";
import { nameIn, nameOf } from "./manager-names.js";

export interface GroupWords {
  readonly summary: string;
  /** What to do; empty: nothing. */
  readonly advice: string;
  /** What else is worth knowing, a sentence each. */
  readonly notes: readonly string[];
}

/** Choices: a write that takes this long makes a leader hand over (manager/raft/disk-pace.ts); or is stuck. */
const SLOW_US = 200_000;
const STUCK_MS = 2_000;
/** Choice: more than a leader in order ever has under way to a member. */
const FAR_BEHIND = 1_000;

type Answering = ManagerReport & { readonly report: RaftReport };

/** The group as one manager sees it. */
export interface Group {
  readonly managers: readonly ManagerReport[];
  readonly self: Answering;
  readonly voters: readonly ManagerReport[];
  readonly needed: number;
  /** Voters that answered, this manager among them. */
  readonly here: readonly ManagerReport[];
  readonly silent: readonly ManagerReport[];
  /** Who says of itself that it leads; of several (one was replaced and does not know) that of the latest term. */
  readonly leader: Answering | undefined;
}

/** undefined: `ownRaftId` is none of them, so that it was removed. */
export function groupOf(managers: readonly ManagerReport[], ownRaftId: number): Group | undefined {
  const answering = managers.filter(isAnswering);
  const self = answering.find(({ report }) => report.raftId === ownRaftId);
  if (self === undefined) return undefined;
  const voters = managers.filter(({ member }) => member?.learner === false);
  const [leader] = answering
    .filter(({ report }) => report.role === "leader")
    .sort((a, b) => b.report.term - a.report.term);
  return {
    managers,
    self,
    voters,
    needed: Math.floor(voters.length / 2) + 1,
    here: voters.filter(isAnswering),
    silent: voters.filter((each) => !isAnswering(each)),
    leader,
  };
}

function isAnswering(manager: ManagerReport): manager is Answering {
  return manager.report !== undefined;
}

export function groupWords(group: Group): GroupWords {
  const { self, leader, here, needed } = group;
  const notes = [...diskNotes(group), ...lagNotes(group)];
  if (leader !== undefined) return { ...ledBy(group, nameOf(leader)), notes };
  if (here.length < needed) return { ...withoutQuorum(group), notes };
  const believed = self.report.leaderRaftId;
  if (believed !== 0) return { ...leaderSilent(group, nameIn(group.managers, believed)), notes };
  return { ...leaderless(group), notes };
}

type Said = Omit<GroupWords, "notes">;

/** Who counts is who the leader hears: its word is asked before this manager's own eyes. */
function ledBy(group: Group, name: string): Said {
  const { voters, self, leader } = group;
  if (voters.length === 1) {
    return { summary: `${name} is the only manager, and works.`, advice: "" };
  }
  const lost = voters.filter((voter) => voter !== leader && !isHeard(group, voter));
  const hiding = group.silent.filter((voter) => !lost.includes(voter)).map(notHere);
  const isDeaf = self.report.leaderRaftId === 0 && self !== leader;
  const deaf = isDeaf
    ? [`This manager does not hear it: Raft messages from ${name} do not come here.`]
    : [];
  const spare = mayFail(voters.length - lost.length, group.needed);
  const first =
    lost.length === 0
      ? `${name} leads ${voters.length} managers, and all answer: ${spare}.`
      : `${name} leads, and ${voters.length - lost.length} of ${voters.length} managers answer: ${spare}. ` +
        `No answer from ${listed(lost.map(silentWord))}.`;
  const summary = [first, ...hiding, ...deaf].join(" ");
  if (isDeaf) return { summary, advice: openPorts(name, "this node") };
  if (lost.includes(self)) return { summary, advice: openPorts("this node", name) };
  if (lost.length > 0) return { summary, advice: bringBack(lost.map(nameOf)) };
  return { summary, advice: voters.length === 2 ? ADD_A_THIRD : "" };
}

/** By the leader; of one that it does not speak of, whether it answered here. */
function isHeard({ leader }: Group, { member, report }: ManagerReport): boolean {
  const told = leader?.report.progress.find(({ raftId }) => raftId === member?.raftId);
  return told?.reachable ?? report !== undefined;
}

function notHere(manager: ManagerReport): string {
  return `${nameOf(manager)} answers the leader, but not this manager (${manager.error}).`;
}

const ADD_A_THIRD =
  "With two managers, one that fails stops both: make a third ('skein node promote NODE').";

/** How many more, given those that are lost already. */
function mayFail(answering: number, needed: number): string {
  const spare = answering - needed;
  if (spare <= 0) return `none of these may fail, for ${needed} must reach each other`;
  return `${spare} of these may fail`;
}

/** "h2 (connection refused)" */
function silentWord(manager: ManagerReport): string {
  return `${nameOf(manager)} (${manager.error || "it answers here, but not the leader"})`;
}

function listed(words: readonly string[]): string {
  if (words.length < 2) return words.join("");
  return `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}

function bringBack(names: readonly string[]): string {
  const them = names.length === 1 ? "it" : "them";
  return `Bring ${listed(names)} back, or take ${them} away ('skein node demote ${names.join(" ")}').`;
}

function openPorts(from: string, to: string): string {
  return `Look whether port 2377/tcp is open from ${from} to ${to}, and back.`;
}

function withoutQuorum(group: Group): Said {
  const { here, needed, silent, voters } = group;
  const missing = needed - here.length;
  const others = here.length === 1 ? "none of the others" : `only ${here.length - 1} of the others`;
  const them = silent.length === 1 ? "it" : "them";
  const summary =
    `There is no leader: ${needed} of ${voters.length} managers must reach each other, and this one ` +
    `reaches ${others}. No answer from ${listed(silent.map(silentWord))}.`;
  const advice =
    `Start Skein on ${listed(silent.map(nameOf))}, or unlock ${them}, and look whether port 2377/tcp is ` +
    `open between the managers: with ${missing} more the swarm goes on by itself. Networks and ` +
    "containers go on meanwhile; nothing can be changed. Only if so many are gone for good: " +
    "'skein swarm recover' makes this manager the only one.";
  return { summary, advice };
}

/** This manager has heard of a leader lately that does not say of itself that it leads. */
function leaderSilent({ self, managers }: Group, name: string): Said {
  const heardMs = self.report.leaderHeardMs ?? 0;
  const found = managers.find(({ member }) => member?.raftId === self.report.leaderRaftId);
  const now = found?.report ? "leads no more" : `does not answer (${found?.error ?? "it is gone"})`;
  return {
    summary: `${name} led until ${(heardMs / 1_000).toFixed(1)} s ago, and ${now}.`,
    advice: "Another is elected within two seconds, if it stays so: look again.",
  };
}

/** So many answer that one could lead. */
function leaderless(group: Group): Said {
  const { here, voters } = group;
  const lost = latestLost(group.managers);
  const elections = lost.map((each) => ` ${electionSentence(each, group.managers)}`).join("");
  const missing =
    group.silent.length === 0 ? "" : ` No answer from ${listed(group.silent.map(silentWord))}.`;
  const summary =
    `There is no leader, though ${here.length} of ${voters.length} managers answer this one, which is enough.` +
    `${missing}${elections}`;
  const advice =
    "An election takes one to two seconds: look again. If it stays so, these managers reach this one " +
    "but not each other on port 2377/tcp, or their disks are stuck: the elections below say who refused whom.";
  return { summary, advice };
}

function diskNotes({ managers }: Group): readonly string[] {
  return managers.flatMap((manager) => {
    const disk = manager.report?.disk;
    if (disk === undefined) return [];
    const name = nameOf(manager);
    if (disk.full)
      return [`The disk of ${name} is full: nothing is written there until it is not.`];
    const writingMs = disk.writingMs ?? 0;
    if (writingMs >= STUCK_MS) {
      return [`A write to the disk of ${name} has been under way for ${seconds(writingMs)}.`];
    }
    if (disk.medianUs < SLOW_US) return [];
    return [`The disk of ${name} is slow: a write takes ${Math.round(disk.medianUs / 1_000)} ms.`];
  });
}

function lagNotes({ leader, managers }: Group): readonly string[] {
  const progress = leader?.report.progress ?? [];
  return progress.flatMap(({ raftId, lag, reachable }) => {
    if (!reachable || lag < FAR_BEHIND) return [];
    const name = nameIn(managers, raftId);
    return [`${name} lacks ${lag} entries, and is being brought up to date.`];
  });
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1_000)} s`;
}
