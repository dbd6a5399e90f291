// The seam between the apply loop and the kernel. `agent/kernel/kernel.ts` is the real one,
// `test/fakes/kernel.ts` its twin.
import type { Ip } from "../../common/address.js";
import type { Unsubscribe } from "../../common/watch.js";
import type { RuleDrops } from "../guard/drops.js";
import type { Stranger } from "../guard/strangers.js";
import type { DataPath } from "../overlay/data-path.js";
import type { HostHave, NamespaceHave, Underlay } from "./have.js";
import type { PortRemoval, Step } from "./step.js";
import type { SandboxRef } from "./want.js";
import type { WireguardHave } from "./wireguard-plan.js";

/** By its own WireGuard or by wireguard-go; or why it cannot, as a sentence. */
export type EncryptionKind = "kernel" | "wireguard-go" | { readonly impossible: string };

/** `sandboxes`: nothing but what is inside some of our own, which is not told from memory any more. */
export type News = "anything" | "sandboxes";

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
  /**
   * Takes ports away, all together, as far as that is possible: one by one the kernel waits for its readers each
   * time. What is left of them is for the steps that are about them.
   */
  sweep(steps: readonly PortRemoval[]): Promise<void>;
  /** Calls back soon after something of ours may have changed, whoever changed it. */
  follow(listener: (news: News) => void): Unsubscribe;
  underlay(): Underlay;
  /** Whether sandboxes can have IPv6: they can on a machine whose own namespace has none, but not without it in the kernel. */
  hasIpv6(): boolean;
  /** What the guard's tables, and the userspace path's switch, have dropped. A place that cannot be asked now is left out. */
  drops(): readonly RuleDrops[];
  /** Who sends to the data path port and is no node of the frames' network: some of many, and not for longer than minutes. */
  strangers(): readonly Stranger[];
  /** Why VXLAN from this address on this UDP port cannot work here, as a sentence; undefined if it can. */
  dataPortProblem(local: Ip, port: number): string | undefined;
  /** Why this data path cannot work here at all, as a sentence; undefined if it can. */
  dataPathProblem(path: DataPath): string | undefined;
  /** How this machine can encrypt, if it can; asked anew each time. */
  encryptionKind(): EncryptionKind;
  /** The WireGuard device, looked at now; undefined: there is none, nor a place for it. */
  wireguard(): Promise<WireguardHave | undefined>;
  /** Leaves everything in place: frames go on flowing. */
  close(): void;
}
