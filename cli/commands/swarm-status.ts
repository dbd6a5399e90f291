// skein swarm status: the Raft group as this manager sees it.
import type { Handler } from "../command.js";
import { align, LIST_SHAPE } from "../format/table.js";
import { flag, items, type Json, number, text } from "../json.js";
import { toJson } from "../template/value.js";

export const status: Handler = async (cli, { flags }) => {
  const raft = await cli.api.get("/skein/v1/raft");
  cli.out.write(flags.bool("json") ? `${toJson(raft)}\n` : statusPage(raft));
  return 0;
};

function statusPage(raft: Json): string {
  const leader = text(raft, "LeaderNodeID");
  const facts = [
    ["State:", text(raft, "State")],
    ...(text(raft, "Message") === "" ? [] : [["Message:", text(raft, "Message")]]),
    ["Term:", String(number(raft, "Term"))],
    ["Leader:", leader === "" ? "none" : leader],
    ["Committed:", String(number(raft, "Commit"))],
    ["Applied:", String(number(raft, "Applied"))],
  ];
  const members = items(raft, "Members").map((member) => {
    const id = text(member, "NodeID");
    const role = id === leader ? "Leader" : flag(member, "Learner") ? "Learner" : "Voter";
    return [showRaftId(member), id, text(member, "Addr"), role];
  });
  const table = members.length === 0 ? [] : [["RAFT ID", "NODE ID", "ADDRESS", "ROLE"], ...members];
  const page = align(facts.map((row) => `${row.join("\t")}\n`).join(""), LIST_SHAPE);
  return table.length === 0
    ? page
    : `${page}\n${align(table.map((row) => `${row.join("\t")}\n`).join(""), LIST_SHAPE)}`;
}

/** Raft ids are 64 bits wide; an API may write them as text. */
function showRaftId(member: Json): string {
  return text(member, "RaftID") || String(number(member, "RaftID"));
}
