// What `skein swarm status` prints: what is the matter, the managers, the elections that they stood for.
import { align, LIST_SHAPE } from "../format/table.js";
import { naturally } from "../format/units.js";
import { at, flag, items, type Json, number, strings, text } from "../json.js";

/** Choice: what came before says little of now; --format json has them all. */
const ELECTIONS_MAX = 6;

export function statusPage(raft: Json, nowMs: number): string {
  const members = items(raft, "Members");
  const wasAsked = members.some((member) => at(member, "Answers") !== undefined);
  const blocks = [
    sayings(raft),
    facts(raft, members),
    ...(wasAsked ? [managerTable(members, nowMs), elections(members, nowMs)] : []),
  ];
  return blocks.filter((block) => block !== "").join("\n");
}

function sayings(raft: Json): string {
  const advice = text(raft, "Advice");
  const lines = [
    text(raft, "Summary"),
    ...strings(raft, "Notes"),
    ...(advice === "" ? [] : [`What to do: ${advice}`]),
  ];
  return lines.map((line) => `${line}\n`).join("");
}

function facts(raft: Json, members: readonly Json[]): string {
  const state = text(raft, "State");
  if (state !== "running") return table([["State:", state]]);
  const leader = members.find((member) => flag(member, "Leader"));
  const needed = number(raft, "Quorum", "Needed");
  const voters = number(raft, "Quorum", "Voters");
  return table([
    ["State:", state],
    ["Leader:", leader === undefined ? "none" : nameOf(leader)],
    ["Term:", String(number(raft, "Term"))],
    ["Needed:", `${needed} of ${voters} managers; ${number(raft, "Quorum", "Answering")} answer`],
    ["Committed:", `${number(raft, "Commit")}, applied ${number(raft, "Applied")}`],
  ]);
}

const HEADS = [
  ["NODE ID", "NAME", "ADDRESS", "ROLE", "TERM"],
  ["MATCH", "LAG", "LAST WRITE", "TOOK", "DISK", "ANSWERS"],
].flat();

function managerTable(members: readonly Json[], nowMs: number): string {
  const byName = [...members].sort((a, b) => naturally(nameOf(a), nameOf(b)));
  const rows = byName.map((member) => {
    const mark = flag(member, "Self") ? " *" : "";
    return [
      `${text(member, "NodeID")}${mark}`,
      text(member, "Hostname"),
      text(member, "Addr"),
      roleOf(member),
      ...figures(member, nowMs),
      answers(member),
    ];
  });
  return table([HEADS, ...rows]);
}

function roleOf(member: Json): string {
  if (flag(member, "Leader")) return "Leader";
  if (flag(member, "Learner")) return "Learner";
  const role = text(member, "Role");
  // Of one that does not answer nothing more is known than that it has a vote.
  if (role === "") return "Voter";
  return role === "leader" ? "Was leader" : `${role.slice(0, 1).toUpperCase()}${role.slice(1)}`;
}

/** Term, match, lag and disk: as far as the manager, or the leader about it, says. */
function figures(member: Json, nowMs: number): readonly string[] {
  const answersItself = flag(member, "Answers");
  // A leader knows nothing of one that it has not heard since it leads.
  const known = answersItself || number(member, "Match") > 0;
  const wrote = Date.parse(text(member, "LastWrite"));
  const hasWritten = answersItself && wrote > 0;
  return [
    answersItself ? String(number(member, "Term")) : "",
    known ? String(number(member, "Match")) : "",
    known ? String(number(member, "Lag")) : "",
    hasWritten ? ago(nowMs - wrote) : "",
    hasWritten ? milliseconds(number(member, "LastWriteMicroseconds")) : "",
    milliseconds(number(member, "DiskMicroseconds")),
  ];
}

function answers(member: Json): string {
  if (flag(member, "Answers")) return "yes";
  return `no: ${text(member, "Error")}`;
}

function milliseconds(us: number): string {
  return us === 0 ? "" : `${(us / 1_000).toFixed(1)} ms`;
}

function elections(members: readonly Json[], nowMs: number): string {
  const latest = members
    .flatMap((member) => items(member, "Elections").map((election) => ({ member, election })))
    .map((each) => ({ ...each, atMs: Date.parse(text(each.election, "Latest")) }))
    .sort((a, b) => b.atMs - a.atMs)
    .slice(0, ELECTIONS_MAX);
  if (latest.length === 0) return "";
  const rows = latest.map(({ member, election, atMs }) => [
    nameOf(member),
    String(number(election, "Term")),
    ago(nowMs - atMs),
    times(election, nowMs),
    flag(election, "PreVote") ? "Consent" : "Votes",
    OUTCOMES[text(election, "Outcome")] ?? text(election, "Outcome"),
    items(election, "Votes").map(voteWords).join("; "),
  ]);
  const heads = ["ELECTION OF", "TERM", "LATEST", "TIMES", "ASKED FOR", "OUTCOME", "SAID"];
  return table([heads, ...rows]);
}

const OUTCOMES: Readonly<Record<string, string>> = {
  open: "Under way",
  won: "Won",
  refused: "Refused",
  unanswered: "Not won",
  "other-leader": "Another leads",
  "later-term": "Later term",
};

/** "57 in 1 min": how often the same was asked with the same answers. */
function times(election: Json, nowMs: number): string {
  const attempts = number(election, "Attempts");
  if (attempts === 1) return "1";
  const beganMs = Date.parse(text(election, "Began"));
  const latestMs = Math.min(nowMs, Date.parse(text(election, "Latest")));
  return `${attempts} in ${span(latestMs - beganMs)}`;
}

const SAID: Readonly<Record<string, string>> = { granted: "yes", refused: "no", none: "no answer" };

function voteWords(vote: Json): string {
  const why = text(vote, "Why");
  const said = SAID[text(vote, "Answer")] ?? text(vote, "Answer");
  return `${text(vote, "Name")}: ${said}${why === "" ? "" : ` (${why})`}`;
}

function nameOf(member: Json): string {
  return text(member, "Hostname") || text(member, "NodeID");
}

function ago(ms: number): string {
  return `${span(ms)} ago`;
}

/** To the tenth of a second where a person compares it with an election. */
function span(ms: number): string {
  const seconds = Math.max(0, ms) / 1_000;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3_600)} h`;
  return `${Math.round(seconds / 86_400)} days`;
}

function table(rows: readonly (readonly string[])[]): string {
  return align(rows.map((row) => `${row.join("\t")}\n`).join(""), LIST_SHAPE);
}
