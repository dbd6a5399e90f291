// What every manager of the group says of itself, asked all at once: for people, also when nobody leads.
import type { Clock } from "../../common/clock.js";
import { Fault, isRefusal, messageOf } from "../../common/fault.js";
import { plain } from "../../common/grpc/status.js";
import type { Timing } from "../../common/timing.js";
import type { ManagerReport } from "../../proto/gen/admin.js";
import type { LinkReport, RaftMember, RaftReport } from "../../proto/gen/raft.js";
import type { Consensus, LeaderLink } from "../seams.js";
import type { Store } from "../store/store.js";
import { itself } from "./itself.js";

export interface ReportsOptions {
  readonly consensus: Consensus<unknown>;
  readonly store: Store;
  readonly link: (addr: string) => LeaderLink;
  /** Where others are reached that are not where the log says, by raft id. */
  readonly believed: () => ReadonlyMap<number, string>;
  /** This manager's own. */
  readonly report: () => RaftReport;
  readonly clock: Clock;
  readonly timing: Pick<Timing, "dialMs">;
}

/**
 * In the order of the members. Who has not answered after half of `dialMs` is not waited for. When nobody leads, those
 * who answered are asked once more: one may have been elected while another was waited for.
 */
export async function groupReports(
  options: ReportsOptions,
  signal: AbortSignal,
): Promise<readonly ManagerReport[]> {
  const { members } = options.consensus.status();
  const first = await Promise.all(members.map((member) => reportOf(options, member, signal)));
  if (first.some(({ report }) => report?.role === "leader")) return first;
  return Promise.all(
    first.map((each) =>
      each.report && each.member ? reportOf(options, each.member, signal) : each,
    ),
  );
}

async function reportOf(
  options: ReportsOptions,
  logged: RaftMember,
  signal: AbortSignal,
): Promise<ManagerReport> {
  const { believed, consensus, store } = options;
  const member = { ...logged, addr: believed().get(logged.raftId) ?? logged.addr };
  const isSelf = member.raftId === consensus.status().raftId;
  const said = isSelf ? options.report() : await ask(options, member, signal);
  const hostname = store.view.node(member.nodeId)?.description?.hostname ?? "";
  return typeof said === "string"
    ? { member, hostname, report: undefined, error: said }
    : { member, hostname, report: said, error: "" };
}

/** A text: why it says nothing. */
async function ask(
  { link, clock, timing }: ReportsOptions,
  { addr, raftId }: RaftMember,
  signal: AbortSignal,
): Promise<RaftReport | string> {
  const patienceMs = timing.dialMs / 2;
  const late = new AbortController();
  const done = new AbortController();
  void clock.sleep(patienceMs, done.signal).then(
    () => late.abort(new Fault("RPC_DEADLINE", { addr })),
    () => {},
  );
  try {
    const asker = itself(AbortSignal.any([signal, late.signal]));
    const said = await link(addr).membership.report({}, asker);
    if (isRefusal(said)) return said.message;
    return said.raftId === raftId ? said : "another manager answers there";
  } catch (error) {
    return whyNot(error, patienceMs);
  } finally {
    done.abort(new Fault("STOPPED"));
  }
}

function whyNot(error: unknown, patienceMs: number): string {
  if (!(error instanceof Fault)) return messageOf(error);
  const { code, data } = error;
  if (code === "RPC_DEADLINE" || code === "RPC_CANCELLED") {
    return `no answer within ${patienceMs / 1_000} s`;
  }
  if (data["code"] === "UNIMPLEMENTED") return "its release cannot say";
  return typeof data["why"] === "string" ? data["why"] : messageOf(error);
}

export function linksOf(lost: ReadonlyMap<number, string> | undefined): LinkReport[] {
  return [...(lost ?? [])].map(([raftId, why]) => ({ raftId, why: plain(why) }));
}
