// A manager takes up the seat that its disk holds: at start, with another address, and after a recovery
// (recovering.ts). The seat is the identity on the disk; a log without it, or one that the group never sent anything
// to, is what a crash left of a seat that was not taken to the end, and goes.
import { Fault, isRefusal, type Refusal, refuse } from "../common/fault.js";
import { type Identity, type RecoverRequest, RecoverResponse } from "../proto/gen/admin.js";
import { type HeldSeat, notAManager, type SeatTools } from "./manager-state.js";
import type { Member } from "./member.js";
import { LOCKED } from "./node-keys.js";
import {
  asRefusal,
  heldIdentity,
  planRecovery,
  recoveringOf,
  recoverLog,
  settledIdentity,
  whyNotRunning,
} from "./recovering.js";
import type { ManagerIdentity, TlsIdentity } from "./seams.js";
import { returnSeat } from "./seat-asking.js";

// Choice: how often a port that is taken is tried again.
const RETRY_MS = 1_000;

/** Resolves when it runs, or when there is no seat to take up; waits for a port that is taken. */
export async function resumeSeat(tools: SeatTools): Promise<void> {
  const { state, disk, log } = tools;
  const none = async () => {
    await disk.erase();
    state.become({ kind: "idle" });
  };
  const known = await disk.loadIdentity();
  if (!known) return none();
  const settled = await settledIdentity(known, disk);
  const tls = await disk.loadTls();
  if (!tls) throw new Fault("IDENTITY_DAMAGED", { path: disk.path, why: "tls.json is missing" });
  const seat = await openPatiently(settled, pem(tls), tools);
  const { identity } = seat;
  let member: Member;
  try {
    member = await seat.start({ kind: "resume", raftId: identity.raftId });
  } catch (error) {
    const isEmpty = error instanceof Fault && error.code === "LOG_EMPTY";
    // A join that was cut short before the leader had sent anything: as good as none, and said to be so.
    if (isEmpty && identity.joinedBy !== "")
      await returnSeat(seat, identity.joinedBy, tools, tools.stopped);
    await seat.close();
    if (!isEmpty) throw error;
    return none();
  }
  state.become({ kind: "running", seat, member });
  log.info({ node: identity.nodeId, addr: identity.listenAddr }, "manager resumed");
}

/** From now on the seat is to be taken up there; false: the disk holds none. */
export async function moveSeat(
  { addr, listenAddr }: { readonly addr: string; readonly listenAddr: string },
  { disk, log }: SeatTools,
): Promise<boolean> {
  const identity = await disk.loadIdentity();
  if (identity === undefined) return false;
  const moved = { ...identity, advertiseAddr: addr, listenAddr: listenAddr || addr };
  await disk.saveIdentity(moved);
  log.info({ addr, listenAddr: moved.listenAddr }, "this manager has another address");
  return true;
}

/** Refused while there is a quorum; what fails after the seat is given up leaves a manager that says why it failed. */
export async function recoverSeat(
  request: RecoverRequest,
  tools: SeatTools,
): Promise<RecoverResponse | Refusal> {
  const { disk, log } = tools;
  const state = tools.state.now;
  if (state.kind === "locked") return refuse("unavailable", LOCKED);
  if (state.kind !== "running" && state.kind !== "failed") return notAManager();
  const held = state.kind === "running" ? state.seat.identity : await heldIdentity(disk);
  const recovering = recoveringOf(request, held);
  if (isRefusal(recovering)) return recovering;
  const { identity, tls } = recovering;
  const why = state.kind === "running" ? await whyNotRunning(state.member, tools) : undefined;
  if (isRefusal(why)) return why;
  if (why) return RecoverResponse.fromPartial({ nodeId: identity.nodeId, isWhole: true });
  // Asking the others takes a seat's certificate, and the port is free while the manager has failed.
  const seat = state.kind === "running" ? state.seat : await tools.openSeat(identity, tls);
  if (isRefusal(seat)) return seat;
  const plan = await planRecovery(identity, (addr) => seat.link(addr), tools).catch(asRefusal);
  const goesOn = !isRefusal(plan) && !request.onlyPlan;
  if (goesOn || state.kind === "failed") await seat.close();
  if (!goesOn) return plan;
  try {
    tools.state.become({ kind: "resuming", message: "" });
    const recovered = await recoverLog(recovering, tools);
    await resumeSeat(tools);
    if (!isRefusal(recovered))
      log.warn({ lost: recovered.lost.length }, "recovered as the only manager");
    return recovered;
  } catch (error) {
    tools.state.fail(error);
    return asRefusal(error);
  }
}

async function openPatiently(
  known: ManagerIdentity,
  tls: Identity,
  { state, disk, openSeat, clock, log, stopped }: SeatTools,
): Promise<HeldSeat> {
  let message = "";
  for (;;) {
    // It may be told of another address while it waits for one that is gone.
    const at = (await disk.loadIdentity()) ?? known;
    state.become({ kind: "resuming", message, at });
    const seat = await openSeat(at, tls);
    if (!isRefusal(seat)) return seat;
    message = seat.message;
    log.warn({ why: message }, "cannot listen yet");
    state.become({ kind: "resuming", message, at });
    await clock.sleep(RETRY_MS, stopped);
  }
}

function pem({ certificate, privateKey, rootCaCert }: TlsIdentity): Identity {
  return {
    certificate: Buffer.from(certificate),
    privateKey: Buffer.from(privateKey),
    rootCaCert: Buffer.from(rootCaCert),
  };
}
