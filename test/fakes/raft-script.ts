// The scenario texts of test/raft-scenarios: read, played on a stage, written. The README there says what
// the commands mean.
import { type ConfChange, ConfChangeKind } from "../../proto/gen/raft.js";
import { member } from "./raft-cluster.js";
import { type Pattern, RaftStage } from "./raft-stage.js";

/** Lines as they are, or commands and what they showed. */
type Part =
  | { readonly kind: "prose"; readonly lines: readonly string[] }
  | { readonly kind: "play"; readonly commands: readonly string[]; readonly want: string };

export interface Scenario {
  readonly title: string;
  readonly parts: readonly Part[];
}

/** A scenario begins with a line "# title"; its parts are set apart by empty lines. */
export function parseScenarios(text: string): readonly Scenario[] {
  const scenarios = text.split(/^# /m).slice(1);
  return scenarios.map((scenario) => {
    const [title = "", ...lines] = scenario.trimEnd().split("\n");
    const parts = lines.join("\n").split(/\n{2,}/);
    return { title, parts: parts.filter((part) => part.trim() !== "").map(parsePart) };
  });
}

function parsePart(text: string): Part {
  const lines = text.trim().split("\n");
  if (lines[0]?.startsWith(";")) return { kind: "prose", lines };
  const end = lines.indexOf("----");
  const commands = end < 0 ? lines : lines.slice(0, end);
  return { kind: "play", commands, want: end < 0 ? "" : lines.slice(end + 1).join("\n") };
}

/** What each playing part showed, in order. */
export function play({ parts }: Scenario): readonly string[] {
  const script = new Script();
  const shown: string[] = [];
  for (const part of parts) {
    if (part.kind === "play") shown.push(script.play(part.commands).join("\n"));
  }
  return shown;
}

export function formatScenario({ title, parts }: Scenario, shown: readonly string[]): string {
  let next = 0;
  const texts = parts.map((part) => {
    if (part.kind === "prose") return part.lines.join("\n");
    const output = shown[next++] ?? "";
    return [...part.commands, "----", ...(output === "" ? [] : [output])].join("\n");
  });
  return `# ${title}\n\n${texts.join("\n\n")}\n`;
}

type Command = (script: Script, stage: RaftStage, words: readonly string[], id: number) => void;

const COMMANDS: Readonly<Record<string, Command>> = {
  members: (script, _stage, words) => {
    const [voters, learners] = splitAt(words, "learners");
    script.begin(voters.map(Number), learners.map(Number));
  },
  log: (script, stage, words, id) => {
    if (words.length > 1) script.giveLog(id, words.slice(1));
    else stage.showLog(id);
  },
  timeout: (_script, stage, words, id) => stage.setTimeoutTicks(id, Number(words[1])),
  join: (_script, stage, _words, id) => stage.join(id),
  tick: (script, stage, [who, count = "1"], id) =>
    script.tick(who === "all" ? stage.ids : [id], Number(count), false),
  run: (script, stage, [count]) => script.tick(stage.ids, Number(count), true),
  campaign: (_script, stage, _words, id) => stage.act(id, (raft) => raft.campaign()),
  elect: (_script, stage, _words, id) => {
    stage.act(id, (raft) => raft.campaign());
    stage.deliverAll();
  },
  propose: (script, _stage, words, id) => script.propose(id, words.slice(1)),
  conf: (script, _stage, [, word = "", raftId], id) => script.change(id, word, Number(raftId)),
  transfer: (script, _stage, [, to], id) => script.transfer(id, Number(to)),
  read: (_script, stage, _words, id) => stage.read(id),
  compact: (_script, stage, _words, id) => stage.act(id, (raft) => raft.compact(raft.applied)),
  disk: (_script, stage, [, speed], id) => stage.setDisk(id, speed === "slow" ? "slow" : "fast"),
  written: (_script, stage, _words, id) => stage.written(id),
  crash: (_script, stage, _words, id) => stage.crash(id),
  restart: (_script, stage, _words, id) => stage.restart(id),
  deliver: (_script, stage, words) => {
    if (words.length === 0) stage.deliverAll();
    else stage.deliver(patternOf(words));
  },
  drop: (_script, stage, words) => stage.lose(patternOf(words)),
  duplicate: (_script, stage, words) => stage.duplicate(patternOf(words)),
  cut: (script, _stage, [link = ""]) => script.cut(link),
  isolate: (script, _stage, words) => script.isolate(words.map(Number)),
  heal: (_script, stage) => stage.heal(),
  "in-flight": (_script, stage) => stage.showInFlight(),
  status: (_script, stage) => stage.showStatus(),
};

const CHANGES: Readonly<Record<string, ConfChangeKind>> = {
  "add-learner": ConfChangeKind.ADD_LEARNER,
  promote: ConfChangeKind.PROMOTE,
  remove: ConfChangeKind.REMOVE,
};

class Script {
  #lines: string[] = [];
  #quiet = false;
  stage = this.#newStage([], []);

  play(commands: readonly string[]): readonly string[] {
    return commands.flatMap((command) => {
      const words = command.trim().split(/\s+/);
      this.#quiet = words[0] === "quietly" || words[0] === "elect";
      this.#lines = [];
      this.#run(words[0] === "quietly" ? words.slice(1) : words);
      if (words[0] === "elect") return this.#lines.filter((line) => line.includes("is leader"));
      return LONG.test(command) ? counted(this.#lines) : this.#lines;
    });
  }

  #newStage(ids: readonly number[], learners: readonly number[]): RaftStage {
    const report = (kind: "message" | "change", line: string) => {
      if (kind === "change" || !this.#quiet) this.#lines.push(line);
    };
    return new RaftStage(report, ids, learners);
  }

  #run([command = "", ...words]: readonly string[]): void {
    const action = COMMANDS[command];
    if (action === undefined) throw new Error(`no such command: ${command}`);
    action(this, this.stage, words, Number(words[0]));
  }

  say(line: string): void {
    this.#lines.push(line);
  }

  /** With `deliver`, all messages arrive after every tick. */
  tick(ids: readonly number[], count: number, deliver: boolean): void {
    for (let i = 0; i < count; i++) {
      for (const id of ids) {
        if (this.stage.isUp(id)) this.stage.act(id, (raft) => raft.tick());
      }
      if (deliver) this.stage.deliverAll();
    }
  }

  /** `2 2 3*1000 in 5`: two entries of term 2 and one of term 3 with a thousand bytes, in term 5. */
  giveLog(id: number, words: readonly string[]): void {
    const [terms, [current = "1"]] = splitAt(words, "in");
    const entries = terms.map((word) => {
      const [term = 0, bytes = 0] = word.split("*").map(Number);
      return { term, bytes };
    });
    this.stage.giveLog(id, entries, Number(current));
  }

  /** All in one breath; `x*1000` is a thousand x. */
  propose(id: number, texts: readonly string[]): void {
    this.stage.act(id, (raft) => {
      for (const text of texts) {
        const [letter = "", times] = text.split("*");
        const data = times === undefined ? text : letter.repeat(Number(times));
        const proposed = raft.propose(Buffer.from(data));
        if (proposed.kind === "refused") this.say(`${id} refuses ${letter}: ${proposed.why}`);
      }
    });
  }

  change(id: number, word: string, raftId: number): void {
    const kind = CHANGES[word];
    if (kind === undefined) throw new Error(`no such change: ${word}`);
    const change: ConfChange = { kind, member: member(raftId) };
    this.stage.act(id, (raft) => {
      const proposed = raft.proposeConfChange(change);
      if (proposed.kind === "refused") this.say(`${id} refuses: ${proposed.why}`);
    });
  }

  transfer(id: number, to: number): void {
    this.stage.act(id, (raft) => {
      if (!raft.transferLeader(to)) this.say(`${id} does not hand over`);
    });
  }

  cut(link: string): void {
    const [from = 0, to = 0] = link.split(/<?->/).map(Number);
    this.stage.cut(from, to);
    if (link.includes("<->")) this.stage.cut(to, from);
  }

  begin(ids: readonly number[], learners: readonly number[]): void {
    this.stage = this.#newStage(ids, learners);
  }

  isolate(ids: readonly number[]): void {
    for (const other of this.stage.ids) {
      for (const one of ids) this.cut(`${one}<->${other}`);
    }
  }
}

function splitAt(words: readonly string[], at: string): [readonly string[], readonly string[]] {
  const split = words.indexOf(at);
  return split < 0 ? [words, []] : [words.slice(0, split), words.slice(split + 1)];
}

/** `1->2`, `1->`, `->2` or `->`, and perhaps a kind of message. */
function patternOf([link = "->", kind]: readonly string[]): Pattern {
  const [from = "", to = ""] = link.split("->");
  const number = (text: string) => (text === "" ? undefined : Number(text));
  return { from: number(from), to: number(to), kind };
}

const LONG = /^(quietly )?(tick|run)\b/;

/** What goes on for many ticks: the same line again is counted where it stood first. */
function counted(lines: readonly string[]): readonly string[] {
  const times = new Map<string, number>();
  for (const line of lines) times.set(line, (times.get(line) ?? 0) + 1);
  return [...times].map(([line, count]) => (count === 1 ? line : `${line} [${count} times]`));
}
