// How a session begins: the agent says hello, and what it says of its node is recorded, or it hears why not.
import type { Clock } from "../../common/clock.js";
import { Fault, isRefusal, type Refusal, Refused, refuse } from "../../common/fault.js";
import type { AgentMessage, Hello } from "../../proto/gen/dispatcher.js";
import { recordNodeSession } from "../control/session.js";
import type { Store } from "../store/store.js";
import type { StoreView } from "../store/view.js";
import type { Writer } from "./write.js";

// A name with some fields, and a key of RSA 16384, have 2 KiB: what a node says of itself stays in the log.
const TLS_FIELD_BYTES_MAX = 4096;
const TLS_FIELDS = ["issuerSubject", "issuerPublicKey", "trustRootDigest"] as const;

/** The first message; throws Refused if it is another one, or does not come within `helloMs`. */
export async function receiveHello(
  messages: AsyncIterator<AgentMessage>,
  { clock, helloMs }: { readonly clock: Clock; readonly helloMs: number },
  signal: AbortSignal,
): Promise<Hello> {
  const late = new AbortController();
  const timeout = clock.sleep(helloMs, late.signal).then(() => {
    throw new Refused(refuse("failed-precondition", "the agent did not say hello in time"));
  });
  try {
    const first = await Promise.race([messages.next(), timeout, aborted(signal)]);
    const message = first.done ? undefined : first.value.message;
    if (message?.$case === "hello") return message.value;
    throw new Refused(refuse("invalid-argument", "a session begins with Hello"));
  } finally {
    timeout.catch(() => {});
    late.abort(new Fault("SESSION_ENDED"));
  }
}

/** Throws Refused when the agent speaks of another swarm, or of one that this manager has not heard of yet. */
export function mustBeOfThisSwarm(hello: Hello, view: StoreView): void {
  const cluster = view.cluster();
  if (hello.clusterId !== "" && hello.clusterId !== cluster?.id) {
    throw new Refused(refuse("failed-precondition", "this manager belongs to another swarm"));
  }
  if (hello.generation > (cluster?.generation ?? 0)) throw new Refused(outlived());
  const { tls } = hello;
  if (tls && TLS_FIELDS.some((field) => tls[field].length > TLS_FIELD_BYTES_MAX)) {
    throw new Refused(refuse("invalid-argument", "what the agent says of its certificate"));
  }
}

export interface Beginning {
  readonly nodeId: string;
  readonly hello: Hello;
  /** The address that the session came from, without port. */
  readonly addr: string;
  readonly silent: boolean;
}

/** Costs no entry when nothing is new. Throws Refused when the node is not there. */
export async function recordBeginning(
  { store, writer }: { readonly store: Store; readonly writer: Writer },
  { nodeId, hello, addr, silent }: Beginning,
): Promise<void> {
  const { description, dataPathAddr, tls } = hello;
  const recorded = await writer.write(
    (draft) => recordNodeSession(draft, { nodeId, description, addr, dataPathAddr, silent, tls }),
    () => true,
  );
  if (isRefusal(recorded)) throw new Refused(refusalFor(store.view, nodeId) ?? recorded);
}

/** Why a node that has a certificate is not served: it is no longer in the swarm. */
export function refusalFor(view: StoreView, nodeId: string): Refusal | undefined {
  if (view.node(nodeId) || !view.cluster()) return undefined;
  return refuse(
    "permission-denied",
    `node ${nodeId} was removed from the swarm; leave the swarm there, then join again`,
  );
}

/** Said to who has heard of a swarm that was begun anew without this manager. */
function outlived(): Refusal {
  const why = "the swarm was recovered without this manager, which will hear of it";
  return refuse("unavailable", why);
}

/** Rejects when aborted; never resolves. */
export function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}
