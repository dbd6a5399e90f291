// A store with a swarm in it, for tests of the manager's cores: each write is drafted, encoded, applied
// and answered as the leader does it, without a log between. Ids and chance are counted, not drawn.
import assert from "node:assert/strict";
import { isRefusal, type Refusal } from "../../common/fault.js";
import { seededRandom } from "../../common/random.js";
import { initCluster } from "../../manager/control/cluster.js";
import type { Context } from "../../manager/control/context.js";
import { attach, detach } from "../../manager/control/endpoint.js";
import { admitNode } from "../../manager/control/membership.js";
import { createNetwork, removeNetwork } from "../../manager/control/network.js";
import { recordNodeSession } from "../../manager/control/session.js";
import { Store } from "../../manager/store/store.js";
import type { Draft } from "../../manager/store/view.js";
import { AttachRequest } from "../../proto/gen/dispatcher.js";
import { Batch } from "../../proto/gen/store.js";
import {
  Availability,
  type Endpoint,
  type Network,
  NetworkSpec,
  type Node,
  Role,
} from "../../proto/gen/types.js";

export const FIRST_NODE = "node0";

export interface SwarmOptions {
  readonly pools?: readonly string[];
  readonly subnetSize?: number;
}

export type SpecParts = Parameters<typeof NetworkSpec.fromPartial>[0];

export class SwarmState {
  readonly store = new Store();
  /** Every entry that was applied, to be applied elsewhere too. */
  readonly log: { readonly index: number; readonly data: Uint8Array }[] = [];
  /** The leader's clock. */
  nowMs = 1_000;
  #counter = 0;
  readonly #random = seededRandom(1);

  constructor(options: SwarmOptions = {}) {
    const request = {
      clusterId: "cluster",
      spec: undefined,
      rootCaCert: Buffer.from("cert"),
      rootCaKey: Buffer.from("key"),
      issuerSubject: Buffer.from("subject"),
      issuerPublicKey: Buffer.from("public"),
      joinSecrets: { worker: "w", manager: "m" },
      unlockKey: Buffer.alloc(0),
      defaultAddrPools: options.pools ?? [],
      subnetSize: options.subnetSize ?? 0,
      dataPathPort: 0,
      node: {
        id: FIRST_NODE,
        hostname: "h0",
        raftId: 1,
        managerAddr: "192.168.33.10:2377",
        addr: "192.168.33.10",
        dataPathAddr: "192.168.33.10",
        availability: Availability.ACTIVE,
        publicKeyDigest: Buffer.from(FIRST_NODE),
      },
    };
    this.must((draft) => initCluster(draft, request, this.context));
  }

  get context(): Context {
    return {
      nowMs: this.nowMs,
      newId: () => `id${++this.#counter}`,
      randomBytes: (length) => this.#random.bytes(length),
    };
  }

  get view() {
    return this.store.view;
  }

  /** One entry with one request. */
  write<T>(request: (draft: Draft) => T | Refusal): T | Refusal {
    const [result] = this.batch([request]);
    return result as T | Refusal;
  }

  /** One entry with several requests. */
  batch<T>(requests: readonly ((draft: Draft) => T | Refusal)[]): (T | Refusal)[] {
    const { results, transactions } = this.store.draft((draft) => ({
      results: requests.map((request) => draft.attempt(this.context.nowMs, request)),
      transactions: draft.transactions,
    }));
    if (transactions.length > 0) {
      const data = Batch.encode({ transactions }).finish();
      const index = this.store.revision + 1;
      const outcomes = this.store.apply(index, data);
      assert.deepEqual(outcomes.filter(isRefusal), [], "what the draft took, apply takes");
      this.log.push({ index, data });
    }
    return results;
  }

  must<T>(request: (draft: Draft) => T | Refusal): T {
    const result = this.write(request);
    assert(!isRefusal(result), isRefusal(result) ? result.message : "");
    return result;
  }

  node(name: string, role = Role.WORKER): Node {
    const node = this.must((draft) =>
      admitNode(
        draft,
        {
          role,
          hostname: name,
          availability: Availability.ACTIVE,
          publicKeyDigest: Buffer.from(name),
          remoteAddr: "",
        },
        { ...this.context, newId: () => name },
      ),
    );
    const addr = `192.168.34.${++this.#counter}`;
    this.must((draft) =>
      recordNodeSession(draft, { nodeId: name, description: undefined, addr, dataPathAddr: addr }),
    );
    return this.view.node(node.id) ?? node;
  }

  network(spec: SpecParts): Network {
    const made = this.must((draft) => this.createNetwork(draft, spec));
    return this.view.network(made.id) ?? made;
  }

  createNetwork(draft: Draft, spec: SpecParts): Network | Refusal {
    const full = NetworkSpec.fromPartial({ attachable: true, ...(spec as object) });
    return createNetwork(draft, { spec: full }, this.context);
  }

  removeNetwork(id: string): Refusal | undefined {
    const result = this.write((draft) => removeNetwork(draft, { id }, this.context));
    return isRefusal(result) ? result : undefined;
  }

  attach(network: string, options: Partial<AttachRequest> & { node?: string } = {}): Endpoint {
    const { endpoint } = this.must((draft) => this.attachIn(draft, network, options));
    assert(endpoint);
    return this.view.endpoint(endpoint.id) ?? endpoint;
  }

  attachIn(draft: Draft, network: string, options: Partial<AttachRequest> & { node?: string }) {
    const { node = FIRST_NODE, ...rest } = options;
    const request = AttachRequest.fromPartial({
      endpointId: `ep${++this.#counter}`,
      network,
      ...(rest as object),
    });
    return attach(draft, request, node);
  }

  detach(endpoint: Endpoint): void {
    this.must((draft) => detach(draft, endpoint.id, endpoint.nodeId, this.context.nowMs));
  }
}

/** The sentence of a refusal; fails on anything else. */
export function sentenceOf(result: unknown): string {
  assert(isRefusal(result), "a refusal");
  return `${result.code}: ${result.message}`;
}
