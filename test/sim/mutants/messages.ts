// What a mutant of the wires has in common with the others.
import type { RaftMessage } from "../../../proto/gen/raft.js";
import type { Wires } from "../swarm/wires.js";

/** Every Raft message leaves its sender as `rewrite` has it. */
export function rewriteMessages(
  wires: Wires,
  rewrite: (message: RaftMessage) => RaftMessage,
): void {
  const transport = wires.transport.bind(wires);
  wires.transport = (options) => {
    const real = transport(options);
    return { ...real, send: (message) => real.send(rewrite(message)) };
  };
}
