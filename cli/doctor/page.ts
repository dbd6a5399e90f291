// What `skein doctor` prints: what is wrong with the swarm, then node by node.
import { humanDuration } from "../format/units.js";
import { flag, items, type Json, strings, text } from "../json.js";

/** Whether anything is wrong, or anybody did not say. */
export function hasTrouble(found: Json): boolean {
  if (items(found, "Findings").length > 0) return true;
  return items(found, "Nodes").some(
    (node) => text(node, "Error") !== "" || items(node, "Findings").length > 0,
  );
}

export function page(found: Json, nowMs: number): string {
  const nodes = items(found, "Nodes");
  const swarm = items(found, "Findings");
  const blocks = [
    ...(swarm.length === 0 ? [] : [block("The swarm", swarm, nowMs)]),
    ...nodes.map((node) => nodeBlock(node, nowMs)),
    [lastLine(found)],
  ];
  return blocks.map((lines) => lines.join("\n")).join("\n\n");
}

function nodeBlock(node: Json, nowMs: number): string[] {
  const findings = items(node, "Findings");
  const error = text(node, "Error");
  const head = `${text(node, "Hostname")}${error === "" ? dataPath(node) : `: did not answer. ${error}`}`;
  const why = strings(node, "DataPath", "Why").map((each) => `  ${each}`);
  if (findings.length === 0) return [head, ...why];
  const [, ...rest] = block(head, findings, nowMs);
  return [head, ...why, ...rest];
}

function dataPath(node: Json): string {
  const path = text(node, "DataPath", "Path");
  if (path === "") return "";
  const wish = text(node, "DataPath", "Wish");
  return `: data path ${path}${wish === path ? "" : `, --datapath ${wish}`}`;
}

function block(head: string, findings: readonly Json[], nowMs: number): string[] {
  return [head, ...findings.flatMap((finding) => findingLines(finding, nowMs))];
}

function findingLines(finding: Json, nowMs: number): string[] {
  const since = Date.parse(text(finding, "Since"));
  const age = Number.isNaN(since) ? "" : `, for ${humanDuration(nowMs - since).toLowerCase()}`;
  const remedy = text(finding, "Remedy");
  return [
    `  ! ${text(finding, "What")}`,
    `      where: ${text(finding, "Where")}${age}`,
    ...(remedy === "" ? [] : [`      do:    ${remedy}`]),
  ];
}

function lastLine(found: Json): string {
  const nodes = items(found, "Nodes");
  const all = [found, ...nodes].flatMap((each) => items(each, "Findings"));
  const count = all.length;
  const silent = nodes.filter((node) => text(node, "Error") !== "").length;
  const note = text(found, "Note");
  const who = flag(found, "Whole")
    ? asked(nodes.length, text(found, "Network"))
    : text(found, "Node");
  const said =
    count === 0 && silent === 0
      ? `Nothing is wrong that ${who} know${flag(found, "Whole") && nodes.length !== 1 ? "" : "s"} of.`
      : [
          ...(count === 0 ? [] : [`${count} finding${count === 1 ? "" : "s"}.`]),
          ...(silent === 0 ? [] : [`${silent} node${silent === 1 ? "" : "s"} did not answer.`]),
        ].join(" ");
  return note === "" ? said : `${said}\n${note}`;
}

function asked(count: number, network: string): string {
  const nodes = count === 1 ? "the one node" : `the ${count} nodes`;
  return network === "" ? nodes : `${nodes} of network ${network}`;
}
