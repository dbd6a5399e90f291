// skein swarm recover: this manager becomes the only one of its swarm. Says what that comes to before it is done.
import { Failure } from "../cli.js";
import type { Handler } from "../command.js";
import { at, flag, items, type Json, number, text } from "../json.js";
import { withProgress } from "../term/progress.js";
import { confirm } from "../term/prompt.js";

export const recover: Handler = async (cli, { flags }) => {
  const plan = await cli.api.post("/skein/v1/recover", { query: { plan: true } });
  if (flag(plan, "Whole")) {
    cli.out.write(
      "This manager is the only one of its swarm and works: there is nothing to recover.\n",
    );
    return 0;
  }
  cli.out.write(planPage(plan));
  if (!flags.bool("yes") && !flags.bool("force")) {
    if (!cli.input.isTerminal) {
      throw new Failure("nothing was changed; to recover without being asked, say --yes");
    }
    if (!(await confirm(cli, "Recover the swarm from this manager?"))) {
      throw new Failure("nothing was changed");
    }
  }
  const done = await withProgress(cli, "Recovering the swarm", cli.api.post("/skein/v1/recover"));
  cli.out.write(donePage(done));
  return 0;
};

function planPage(plan: Json): string {
  const lost = items(plan, "Lost").map(
    (member) => `    ${text(member, "NodeID")}  ${text(member, "Addr")}\n`,
  );
  const others =
    lost.length === 0
      ? "No other manager is known to it.\n"
      : "These lose their seats. Their nodes become workers, down until they are heard; what their\n" +
        `managers have written since they were last heard here is given up:\n${lost.join("")}`;
  return (
    `This manager (${text(plan, "NodeID")}) becomes the only one of its swarm, with what it holds: everything up\n` +
    `to entry ${number(plan, "Index")} of term ${number(plan, "Term")}. What was acknowledged and never came here is lost.\n` +
    `${damageLines(plan)}\n${others}\n` +
    "Ids of nodes, labels, networks, services, secrets, join tokens and the CA stay. Do this on one manager\n" +
    "only, and only when the others will not come back.\n\n"
  );
}

function damageLines(plan: Json): string {
  const damage = at(plan, "Damage");
  if (damage === undefined) return "";
  const known = number(damage, "KnownLost");
  const lost =
    known === 0
      ? "no entry that is missing is known of"
      : `at least ${known} ${known === 1 ? "entry is" : "entries are"} lost with it`;
  return `Its log is damaged: ${text(damage, "File")} at byte ${number(damage, "Offset")}; ${lost}.\n`;
}

function donePage(done: Json): string {
  return (
    `The swarm goes on with this manager (${text(done, "NodeID")}) alone.\n` +
    `What was on its disk before is kept in ${text(done, "KeptAside")}.\n\n` +
    "Add managers again with 'skein node promote NODE', so that the next failure is none.\n"
  );
}
