// The seam between the apply loop and the kernel. `agent/kernel/kernel.ts` is the real one,
// `test/fakes/kernel.ts` its twin.
import type { Ip } from "../../common/address.js";
import type { Unsubscribe } from "../../common/watch.js";
import type { HostHave, NamespaceHave, Underlay } from "./have.js";
import type { Step } from "./step.js";
import type { SandboxRef } from "./want.js";

export interface Kernel {
  /**
   * All that is ours, and the inside of each sandbox named (one that cannot be entered is left out).
   * Followers hear of events that came before it during the call, before it first waits: who asked may
   * then ignore them, for the dump has seen what they were about.
   * With `trust`, a sandbox that was looked into before and that no step has touched since is told from
   * memory: looking into each of hundreds costs more than all else, and one change concerns one of them.
   */
  dump(insides: readonly SandboxRef[], trust?: boolean): Promise<HostHave>;
  /** What is inside one sandbox, looked at now; undefined when it cannot be entered. */
  inside(ref: SandboxRef): NamespaceHave | undefined;
  /**
   * Does one step, or throws a Fault whose message is a sentence for a person. Doing a step again is
   * no error; a step that failed half-way is completed by doing it again or taken back by its undo.
   */
  perform(step: Step): Promise<void>;
  /** Calls back soon after something of ours may have changed, whoever changed it. */
  follow(listener: () => void): Unsubscribe;
  underlay(): Underlay;
  /** Why VXLAN from this address on this UDP port cannot work here, as a sentence; undefined if it can. */
  dataPortProblem(local: Ip, port: number): string | undefined;
  /** Leaves everything in place: frames go on flowing. */
  close(): void;
}
