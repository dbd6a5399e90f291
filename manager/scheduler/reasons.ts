// Why no node takes a task, in SwarmKit's words, with what is short said in full.

export type Reason =
  | "unavailable"
  | "cpu"
  | "memory"
  | "generic"
  | "plugin"
  | "runtime"
  | "encryption"
  | "constraints"
  | "platform"
  | "host-port"
  | "max-replicas";

/** How many nodes each reason speaks for; `detail` names what is short ("gpu"). */
export class Tally {
  readonly #counts = new Map<string, number>();

  add(reason: Reason, detail = ""): void {
    const key = `${reason} ${detail}`;
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
  }

  /** The most frequent first: it is what to change. */
  sentence(): string {
    const parts = [...this.#counts]
      .sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1))
      .map(([key, count]) => {
        const [reason = "", detail = ""] = key.split(" ");
        return describe(reason as Reason, detail, `${count} ${count === 1 ? "node" : "nodes"}`);
      });
    return parts.length === 0 ? "no suitable node" : `no suitable node (${parts.join("; ")})`;
  }
}

function describe(reason: Reason, detail: string, nodes: string): string {
  switch (reason) {
    case "unavailable":
      return `${nodes} not available for new tasks`;
    case "cpu":
      return `insufficient CPU on ${nodes}`;
    case "memory":
      return `insufficient memory on ${nodes}`;
    case "generic":
      return `insufficient ${detail} on ${nodes}`;
    case "plugin":
      return `missing plugin on ${nodes}`;
    case "runtime":
      return `no ${detail} on ${nodes}`;
    case "encryption":
      return `encrypted networks are not supported on ${nodes}`;
    case "constraints":
      return `scheduling constraints not satisfied on ${nodes}`;
    case "platform":
      return `unsupported platform on ${nodes}`;
    case "host-port":
      return `host-mode port already in use on ${nodes}`;
    case "max-replicas":
      return `max replicas per node limit exceed on ${nodes}`;
  }
}
