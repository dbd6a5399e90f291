// A group of managers for benchmarks of the log: a process each, on this machine, with certificates of one root.
import { type ChildProcess, fork } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { newNodeKey } from "../../common/certificates.js";
import { createCsr } from "../../common/csr.js";
import { orThrow } from "../../common/fault.js";
import { systemRandom } from "../../common/random.js";
import { checkCsr, issueLeaf } from "../../manager/certs/authority.js";
import { createRoot } from "../../manager/certs/roots.js";
import type { Bootstrap } from "../../manager/seams.js";
import type { RaftMember } from "../../proto/gen/raft.js";
import { Role } from "../../proto/gen/types.js";
import { freeAddr } from "../../test/fakes/free-port.js";
import type { Load } from "./load.js";
import { type Answer, CLUSTER_ID, nodeIdOf, type Order } from "./raft-orders.js";

const PROGRAM = fileURLToPath(new URL("./raft-node.js", import.meta.url));
const LIFE_MS = 86_400_000;

export interface Group {
  /** Where clients ask: the leader first. */
  readonly clients: readonly string[];
  load(what: "propose" | "read", inFlight: number, ms: number): Promise<Load>;
  close(): Promise<void>;
}

export async function startGroup(folder: string, size: number): Promise<Group> {
  const root = await createRoot(newNodeKey(), Date.now(), systemRandom);
  const nodes: Child[] = [];
  const clients: string[] = [];
  let members: readonly RaftMember[] = [];
  for (let raftId = 1; raftId <= size; raftId++) {
    const [addr, clientAddr] = [await freeAddr(), await freeAddr()];
    const self = { raftId, nodeId: nodeIdOf(raftId), addr, learner: raftId > 1 };
    const node = new Child();
    const [leader] = nodes;
    if (leader) members = (await leader.do({ kind: "add", member: self })).members ?? [];
    const bootstrap: Bootstrap = leader ? { kind: "join", self, members } : { kind: "new", self };
    const tls = await identityOf(root, raftId);
    const at = join(folder, `manager${raftId}`);
    await node.do({ kind: "start", folder: at, bootstrap, addr, clientAddr, tls });
    nodes.push(node);
    clients.push(clientAddr);
    if (leader) await leader.do({ kind: "promote", member: self });
  }
  return {
    clients,
    async load(what, inFlight, ms) {
      const answer = await nodes[0]?.do({ kind: "load", what, inFlight, ms });
      if (answer?.load === undefined) throw new Error("no measurement came back");
      return answer.load;
    },
    async close() {
      for (const node of nodes) await node.close();
    },
  };
}

async function identityOf(root: Awaited<ReturnType<typeof createRoot>>, raftId: number) {
  const privateKey = newNodeKey();
  const csr = orThrow(await checkCsr(await createCsr(privateKey)));
  const wish = {
    nodeId: nodeIdOf(raftId),
    role: Role.MANAGER,
    clusterId: CLUSTER_ID,
    lifeMs: LIFE_MS,
  };
  const certificate = await issueLeaf(root, csr, wish, Date.now(), systemRandom);
  const text = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");
  return {
    certificate: text(certificate),
    privateKey: text(privateKey),
    rootCaCert: text(root.certificate),
  };
}

class Child {
  readonly #process: ChildProcess = fork(PROGRAM, {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });

  do(order: Order): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const ended = () => reject(new Error("a manager of the benchmark ended"));
      this.#process.once("exit", ended);
      this.#process.once("message", (answer: Answer) => {
        this.#process.off("exit", ended);
        if (answer.error === undefined) resolve(answer);
        else reject(new Error(answer.error));
      });
      this.#process.send(order);
    });
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.#process.once("exit", resolve));
    await this.do({ kind: "stop" });
    await ended;
  }
}
