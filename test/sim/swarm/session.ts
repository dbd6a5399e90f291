// One Dispatcher.Session between an agent and a manager, on the wires of the simulation: in order both ways, held up by
// a way that is cut, and broken when that lasts, or when the process at the other end is gone.
import type { Session } from "../../../agent/seams.js";
import { Fault, type Refusal, Refused, refuse } from "../../../common/fault.js";
import { NotLeader } from "../../../common/grpc/status.js";
import { admit } from "../../../manager/ca/admission.js";
import type { Member } from "../../../manager/member.js";
import type { Identity } from "../../../proto/gen/admin.js";
import type { AgentMessage, Hello, ManagerMessage } from "../../../proto/gen/dispatcher.js";
import { CLUSTER_ID } from "../../fakes/seat-credentials.js";
import { Pipe } from "./pipe.js";
import { KEEPALIVE_MS, type Wires } from "./wires.js";

export type Dialled =
  | { readonly kind: "open"; readonly session: Session }
  | { readonly kind: "redirect"; readonly leader: string | undefined }
  | { readonly kind: "refused"; readonly refusal: Refusal };

export interface Dial {
  readonly from: string;
  readonly to: string;
  readonly tls: Pick<Identity, "certificate">;
  readonly hello: Hello;
  readonly dialMs: number;
  readonly signal: AbortSignal;
  /** Told before `message` leaves the manager. */
  readonly onTold: (by: Member, message: ManagerMessage) => void;
}

const PATH = "/skein.v1.Dispatcher/Session";

/** As dialSession (agent/grpc/session-stream.ts). */
export async function dial(wires: Wires, options: Dial): Promise<Dialled> {
  const { from, to, signal, hello, dialMs } = options;
  const { time } = wires;
  const pause = (ms: number) => new Promise<void>((resolve) => void time.in(ms, resolve));
  signal.throwIfAborted();
  const unreachable = new Fault("RPC_UNREACHABLE", { addr: to, sent: false });
  if (wires.isBroken(from, to)) {
    await pause(dialMs);
    throw unreachable;
  }
  await pause(wires.delayMs(from, to));
  signal.throwIfAborted();
  const port = wires.port(to);
  if (port === undefined) throw unreachable;
  const peer = wires.peerOf(from, options.tls);
  const stranger = admit(PATH, peer, CLUSTER_ID, port.member()?.store.view);
  if (stranger !== undefined) return { kind: "refused", refusal: stranger };
  const member = port.member();
  if (member === undefined) return { kind: "redirect", leader: undefined };
  const gone = new AbortController();
  const upward = new Pipe<AgentMessage>();
  const downward = new Pipe<ManagerMessage>();
  const lost = new Fault("SESSION_ENDED", { addr: to });
  /** Each end notices for itself. */
  const breakOff = () => {
    time.in(wires.delayMs(from, to), () => gone.abort(new Fault("CALLER_GONE")));
    time.in(wires.delayMs(to, from), () => downward.end(lost));
  };
  const disconnect = wires.connect(port, () => downward.end(lost));
  const up = inOrder(wires, from, to, upward, breakOff);
  const down = inOrder(wires, to, from, downward, breakOff);
  const onAbort = () => close();
  const close = () => {
    signal.removeEventListener("abort", onAbort);
    disconnect();
    downward.end();
    up(() => gone.abort(new Fault("CALLER_GONE")));
  };
  signal.addEventListener("abort", onAbort, { once: true });
  const caller = {
    peer,
    local: false,
    forwarded: false,
    requestId: "",
    remoteAddr: from.split(":")[0] ?? "",
    signal: gone.signal,
  };
  const send = async (message: ManagerMessage) => {
    if (gone.signal.aborted) return;
    options.onTold(member, message);
    down(() => downward.push(message));
  };
  upward.push({ message: { $case: "hello", value: hello } });
  Promise.resolve()
    .then(() => member.services.dispatcher.session(caller, upward, send))
    .then(
      () => down(() => downward.end()),
      (error: unknown) => down(() => downward.end(error)),
    );
  const late = time.in(dialMs, () => downward.end(lost));
  try {
    const messages = downward[Symbol.asyncIterator]();
    const first = await messages.next();
    const message = first.done ? undefined : first.value.message;
    if (message?.$case !== "welcome") throw new Fault("SESSION_WITHOUT_WELCOME", { addr: to });
    const sayUp = (said: AgentMessage) => up(() => upward.push(said));
    const rest = { [Symbol.asyncIterator]: () => messages };
    return {
      kind: "open",
      session: { addr: to, welcome: message.value, messages: rest, send: sayUp, close },
    };
  } catch (error) {
    close();
    if (error instanceof NotLeader) return { kind: "redirect", leader: error.leaderAddr };
    if (!(error instanceof Refused)) throw error;
    const { refusal } = error;
    const noLeader = refusal.code === "failed-precondition" || refusal.code === "unavailable";
    return noLeader
      ? { kind: "redirect", leader: undefined }
      : { kind: "refused", refusal: refuse(refusal.code, refusal.message) };
  } finally {
    late();
  }
}

/** As GrpcManagerLink.openSession: one redirect is followed. */
export async function openSession(wires: Wires, options: Dial): Promise<Session | Refusal> {
  const first = await dial(wires, options);
  const outcome =
    first.kind === "redirect" && first.leader
      ? await dial(wires, { ...options, to: first.leader })
      : first;
  if (outcome.kind === "redirect") throw new Fault("NO_LEADER", { addr: options.to });
  return outcome.kind === "refused" ? outcome.refusal : outcome.session;
}

/** Does what it is given one after the other, each when its bytes are there. */
function inOrder(
  wires: Wires,
  from: string,
  to: string,
  pipe: { readonly ended: boolean },
  breakOff: () => void,
): (arrive: () => void) => void {
  const { time } = wires;
  const waiting: { readonly dueMs: number; readonly arrive: () => void }[] = [];
  let stuckSinceMs: number | undefined;
  const pump = () => {
    const [next] = waiting;
    if (next === undefined || pipe.ended) return;
    if (wires.isBroken(from, to)) {
      stuckSinceMs ??= time.nowMs;
      if (time.nowMs - stuckSinceMs >= KEEPALIVE_MS) return breakOff();
      time.in(KEEPALIVE_MS / 10, pump);
      return;
    }
    stuckSinceMs = undefined;
    waiting.shift();
    next.arrive();
    if (waiting.length > 0) time.in(Math.max(0, (waiting[0]?.dueMs ?? 0) - time.nowMs), pump);
  };
  return (arrive) => {
    const dueMs = time.nowMs + wires.delayMs(from, to);
    waiting.push({ dueMs, arrive });
    if (waiting.length === 1) time.in(dueMs - time.nowMs, pump);
  };
}
