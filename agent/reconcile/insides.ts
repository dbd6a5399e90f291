// What was seen inside sandboxes, where neither a step of ours nor somebody else has touched it since: looking into
// hundreds of namespaces costs more than all else that a look does. Sandboxes are known by their keys (names.ts).
import { unreachable } from "../../common/fault.js";
import type { NamespaceHave } from "./have.js";
import { ALIAS, portName, sandboxKey } from "./names.js";
import type { Step } from "./step.js";
import { sandboxFileName } from "./want.js";

export class Insides {
  #seen = new Map<string, NamespaceHave>();
  /** What the look that is under way has not asked about yet. */
  #before = new Map<string, NamespaceHave>();
  /** Which sandbox has the other end of a port. */
  readonly #keyByPort = new Map<string, string>();

  /** A look begins. `trust`: what was seen before counts still; what is not asked about again is forgotten. */
  begin(trust: boolean): void {
    this.#before = trust ? this.#seen : new Map();
    this.#seen = new Map();
    if (!trust) this.#keyByPort.clear();
  }

  /** What was seen before; it counts as seen again. */
  recall(key: string): NamespaceHave | undefined {
    const known = this.#before.get(key);
    if (known !== undefined) this.#seen.set(key, known);
    return known;
  }

  note(key: string, have: NamespaceHave): void {
    this.#seen.set(key, have);
    for (const { alias } of have.links) {
      if (alias.startsWith(ALIAS)) this.#keyByPort.set(portName(alias.slice(ALIAS.length)), key);
    }
  }

  /** Somebody changed something in there; also while a look is under way, that has not come to it yet. */
  forget(key: string): void {
    this.#seen.delete(key);
    this.#before.delete(key);
  }

  /** What the step may change inside sandboxes is not known any more. */
  touchedBy(step: Step): void {
    switch (step.kind) {
      case "make-endpoint":
      case "plug":
        this.forget(sandboxKey(step.endpoint.sandbox));
        break;
      case "make-sandbox":
        this.forget(sandboxKey({ kind: "own", id: step.id }));
        break;
      case "remove-sandbox":
        for (const key of this.ofFile(step.file)) this.forget(key);
        break;
      case "remove-endpoint":
      case "unplug":
        this.forget(this.#keyByPort.get(step.port) ?? "");
        break;
      case "remove-network":
      case "remove-bridge":
        // Which sandboxes had the other ends is not told.
        this.#seen.clear();
        this.#before.clear();
        break;
      case "make-network":
      case "make-vxlan":
      case "make-listener":
      case "make-tap":
      case "remove-listener":
      case "swap-vxlan":
      case "remove-vxlan":
      case "put-rows":
      case "drop-rows":
      case "make-bridge":
      case "put-neighbours":
      case "drop-neighbours":
      case "allow-forwarding":
      case "change-tables":
      case "accelerate":
      case "make-wireguard":
      case "put-wireguard-peers":
      case "remove-wireguard":
        break;
      default:
        unreachable(step);
    }
  }

  /** Keys of those seen whose namespace file has this name. */
  ofFile(file: string): readonly string[] {
    return [...this.#seen.keys()].filter((key) => isSandboxOf(key, file));
  }
}

function isSandboxOf(key: string, file: string): boolean {
  return key.startsWith("own:") && sandboxFileName(key.slice("own:".length)) === file;
}
