// One Dispatcher.Session stream, up to its Welcome and then as a Session.
import type { ClientDuplexStream, ServiceError } from "@grpc/grpc-js";
import { Fault, type Refusal } from "../../common/fault.js";
import { redirectOf, refusalOrFault } from "../../common/grpc/status.js";
import type {
  AgentMessage,
  DispatcherClient,
  Hello,
  ManagerMessage,
} from "../../proto/gen/dispatcher.js";
import type { Session } from "../seams.js";

export type DialOutcome =
  | { readonly kind: "open"; readonly session: Session }
  /** `leader` is undefined while the managers have none. */
  | { readonly kind: "redirect"; readonly leader: string | undefined }
  | { readonly kind: "refused"; readonly refusal: Refusal };

/** Throws a Fault when nothing answers at `addr` within `dialMs`. */
export async function dialSession(
  client: DispatcherClient,
  addr: string,
  hello: Hello,
  dialMs: number,
  signal: AbortSignal,
): Promise<DialOutcome> {
  signal.throwIfAborted();
  const call = client.session();
  const cancel = () => call.cancel();
  signal.addEventListener("abort", cancel, { once: true });
  const timer = setTimeout(cancel, dialMs);
  // Somebody must always listen: a stream's error may come after its reader has stopped.
  call.on("error", () => {});
  call.on("close", () => signal.removeEventListener("abort", cancel));
  call.write({ message: { $case: "hello", value: hello } });
  const messages = received(call, addr);
  try {
    const first = await messages.next();
    const message = first.done ? undefined : first.value.message;
    if (message?.$case !== "welcome") throw new Fault("SESSION_WITHOUT_WELCOME", { addr });
    return { kind: "open", session: sessionOf(call, addr, message.value, messages) };
  } catch (error) {
    call.cancel();
    if (error instanceof Ended) return outcomeOf(error.error, addr);
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

type Stream = ClientDuplexStream<AgentMessage, ManagerMessage>;

function sessionOf(
  call: Stream,
  addr: string,
  welcome: Session["welcome"],
  messages: AsyncGenerator<ManagerMessage>,
): Session {
  return {
    addr,
    welcome,
    messages: rest(messages, addr),
    send(message) {
      // Writing to a stream that ended is how its end is first noticed; the reader reports it.
      if (call.writable) call.write(message);
    },
    close: () => call.cancel(),
  };
}

async function* rest(messages: AsyncGenerator<ManagerMessage>, addr: string) {
  try {
    yield* messages;
  } catch (error) {
    if (!(error instanceof Ended)) throw error;
    const outcome = refusalOrFault(error.error, addr);
    throw outcome instanceof Fault
      ? outcome
      : new Fault("SESSION_ENDED", { addr, why: outcome.message });
  }
}

async function* received(call: Stream, addr: string): AsyncGenerator<ManagerMessage> {
  try {
    for await (const message of call) yield message as ManagerMessage;
  } catch (error) {
    if (isServiceError(error)) throw new Ended(error);
    throw new Fault("SESSION_ENDED", { addr }, error);
  }
}

/** The stream's own end, with its status and trailers. */
class Ended extends Error {
  constructor(readonly error: ServiceError) {
    super(error.message);
  }
}

function outcomeOf(error: ServiceError, addr: string): DialOutcome {
  const leader = redirectOf(error);
  if (leader !== undefined) return { kind: "redirect", leader };
  const outcome = refusalOrFault(error, addr);
  if (outcome instanceof Fault) throw outcome;
  // A manager without a leader cannot say where to go; it says so in the words of NotLeader.
  const noLeader = outcome.code === "failed-precondition" || outcome.code === "unavailable";
  return noLeader ? { kind: "redirect", leader: undefined } : { kind: "refused", refusal: outcome };
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && "code" in error && typeof error.code === "number";
}
