// Waits until every node has a certificate of the new root and trusts it alone, and shows the way there. After
// docker/cli cli/command/swarm/progress/root_rotation.go; the words are Docker's, but for those about nodes that are
// not there, for which Docker's client waits without a word.
import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Cli } from "../cli.js";
import { at, flag, type Json, list, text } from "../json.js";
import { LiveArea } from "../term/live.js";

const POLL_MS = 200;
const DIGEST = "desired root digest";
const CERTS = "  rotated TLS certificates";
const ROOTS = "  rotated CA certificates";
// Where go-units' bar has 50 on a wide terminal.
const BAR_COLUMNS = 50;
const NAMES_SHOWN = 5;

/** What is seen at one moment. */
export interface RootPicture {
  /** "sha256:…" of the root that the swarm trusts now. */
  readonly digest: string;
  readonly certs: number;
  readonly roots: number;
  readonly total: number;
  /** Names of the nodes that have not moved and are not there. */
  readonly away: readonly string[];
  readonly isDone: boolean;
}

/** The swarm as it is then; undefined: a person did not want to wait (Ctrl-C), and it goes on. */
export async function waitForRoot(cli: Cli, quiet: boolean): Promise<Json | undefined> {
  const stop = new AbortController();
  const forget = cli.onSignal("SIGINT", () => stop.abort());
  const screen = quiet ? undefined : new Screen(cli);
  try {
    screen?.begin();
    for (;;) {
      const swarm = await cli.api.get("/swarm", { signal: stop.signal });
      const nodes = list(await cli.api.get("/nodes", { signal: stop.signal }));
      const picture = rootPicture(swarm, nodes);
      screen?.show(picture);
      if (picture.isDone) return swarm;
      await sleep(POLL_MS, undefined, { signal: stop.signal });
    }
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    cli.out.write(
      "Operation continuing in background.\nUse `skein node ls --format '{{.Hostname}} {{.TLSStatus}}'` to check progress.\n",
    );
    return undefined;
  } finally {
    forget();
  }
}

export function rootPicture(swarm: Json, nodes: readonly Json[]): RootPicture {
  const wanted = at(swarm, "TLSInfo");
  const trusted = text(wanted, "TrustRoot");
  const tls = (node: Json) => at(node, "Description", "TLSInfo");
  const hasMoved = (node: Json) =>
    ["CertIssuerPublicKey", "CertIssuerSubject"].every(
      (field) => text(tls(node), field) === text(wanted, field),
    );
  const moved = nodes.filter(hasMoved);
  const isMoved = moved.length === nodes.length && !flag(swarm, "RootRotationInProgress");
  const trusting = nodes.filter((node) => text(tls(node), "TrustRoot") === trusted);
  // While certificates are missing the old root is trusted besides, so none has "only the new one".
  const roots = isMoved ? trusting.length : 0;
  const away = nodes.filter((node) => text(node, "Status", "State") !== "ready" && !hasMoved(node));
  return {
    digest: `sha256:${createHash("sha256").update(trusted).digest("hex")}`,
    certs: moved.length,
    roots,
    total: nodes.length,
    away: away.map((node) => text(node, "Description", "Hostname") || text(node, "ID")),
    // Who is away cannot be told of the end; it hears when it is back.
    isDone: isMoved && nodes.every((node) => trusting.includes(node) || isDown(node)),
  };
}

function isDown(node: Json): boolean {
  return text(node, "Status", "State") === "down";
}

class Screen {
  readonly #live: LiveArea | undefined;
  #waiting = "";

  constructor(private readonly cli: Cli) {
    this.#live = cli.out.isTerminal ? new LiveArea(cli.out) : undefined;
  }

  /** Docker's first three lines, which are all that a pipe sees of the bars. */
  begin(): void {
    if (!this.#live) this.cli.out.write(`${DIGEST}: \n${CERTS}: \n${ROOTS}:  \n`);
  }

  show(picture: RootPicture): void {
    const { digest, certs, roots, total, isDone } = picture;
    const first = `${DIGEST}: ${digest}`;
    const waiting = waitingLine(picture.away);
    if (!this.#live) {
      this.cli.out.write(`${first}\n`);
      // Not among the lines that a program may read.
      if (waiting !== this.#waiting && waiting !== "") this.cli.err.write(`${waiting}\n`);
      this.#waiting = waiting;
      return;
    }
    const lines = [
      first,
      `${CERTS}: ${bar(certs, total)}`,
      `${ROOTS}:  ${bar(roots, total)}`,
      ...(waiting === "" ? [] : [waiting]),
    ];
    if (isDone) this.#live.finish(lines);
    else this.#live.show(lines);
  }
}

function waitingLine(away: readonly string[]): string {
  if (away.length === 0) return "";
  const more = away.length > NAMES_SHOWN ? ` and ${away.length - NAMES_SHOWN} more` : "";
  const names = `${away.slice(0, NAMES_SHOWN).join(", ")}${more}`;
  return `waiting for ${names}: start it, or remove it from the swarm (skein node rm --force)`;
}

function bar(current: number, total: number): string {
  const done = total === 0 ? 0 : Math.floor((current / total) * BAR_COLUMNS);
  const arrow = done < BAR_COLUMNS ? ">" : "";
  const empty = " ".repeat(Math.max(0, BAR_COLUMNS - done - arrow.length));
  return `[${"=".repeat(done)}${arrow}${empty}] ${current}/${total} nodes`;
}
