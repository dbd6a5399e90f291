// Twins of what the loops of containers and attachments ask of the agent: a swarm that gives addresses
// from a counter, and a kernel that only remembers. Both can be told to fail.

import type { Endpoints, EventPublisher, Place, Placing } from "../../agent/loops/placing.js";
import type { NodeEvent } from "../../agent/seams.js";
import { Fault, type Refusal } from "../../common/fault.js";
import type { AttachRequest, AttachResponse } from "../../proto/gen/dispatcher.js";
import { EndpointKind, type Network, NetworkSpec } from "../../proto/gen/types.js";

export class FakeEndpoints implements Endpoints {
  readonly given = new Map<string, AttachResponse>();
  readonly asked: AttachRequest[] = [];
  /** What the next requests meet. */
  refusal: Refusal | undefined;
  isReachable = true;
  #last = 1;

  assigned(endpointId: string) {
    const known = this.given.get(endpointId);
    return known?.endpoint && known.network
      ? { endpoint: known.endpoint, network: known.network }
      : undefined;
  }

  async attach(request: AttachRequest): Promise<AttachResponse | Refusal> {
    this.asked.push(request);
    if (!this.isReachable) throw new Fault("NO_MANAGER");
    if (this.refusal) return this.refusal;
    const known = this.given.get(request.endpointId);
    if (known) return known;
    this.#last++;
    const meta = {
      version: this.#last,
      createdVersion: this.#last,
      createdAtMs: 0,
      updatedAtMs: 0,
    };
    const answer: AttachResponse = {
      endpoint: {
        id: request.endpointId,
        meta,
        networkId: "n1",
        nodeId: "node1",
        kind: EndpointKind.ATTACHMENT,
        name: request.name,
        aliases: request.aliases,
        ownerId: request.ownerId,
        ipv4: `10.0.1.${this.#last}/24`,
        ipv6: "",
        mac: `02:42:0a:00:01:${this.#last.toString(16).padStart(2, "0")}`,
        hostname: request.hostname,
        serviceId: "",
        serving: false,
      },
      network: network(request.network),
    };
    this.given.set(request.endpointId, answer);
    return answer;
  }

  async detach(endpointId: string): Promise<Refusal | undefined> {
    if (!this.isReachable) throw new Fault("NO_MANAGER");
    this.given.delete(endpointId);
    return undefined;
  }
}

function network(name: string): Network {
  return {
    id: "n1",
    meta: undefined,
    spec: NetworkSpec.create({ name, driver: "overlay", attachable: true, ipamDriver: "default" }),
    vni: 4097,
    subnets: [{ cidr: "10.0.1.0/24", gateway: "10.0.1.1", ipRange: "" }],
    mtuBytes: 0,
  };
}

export class FakePlacing implements Placing {
  readonly sandboxes = new Set<string>();
  readonly owned = new Map<string, Place>();
  /** Interfaces that others put somewhere. */
  readonly foreign: string[] = ["lo"];
  readonly problems = new Map<string, string>();
  conflictSentence: string | undefined;
  failure: Fault | undefined;

  sandbox(containerId: string): string {
    this.sandboxes.add(containerId);
    return `/nowhere/sb-${containerId.slice(0, 12)}`;
  }

  async sandboxReady(_containerId: string, _signal: AbortSignal): Promise<void> {
    if (this.failure) throw this.failure;
  }

  async dropSandbox(containerId: string): Promise<void> {
    this.sandboxes.delete(containerId);
  }

  own(endpointId: string, place: Place): void {
    this.owned.set(endpointId, place);
  }

  async disown(endpointId: string): Promise<void> {
    this.owned.delete(endpointId);
  }

  async ready(_endpointId: string, _signal: AbortSignal): Promise<void> {
    if (this.failure) throw this.failure;
  }

  problem(endpointId: string): string | undefined {
    return this.problems.get(endpointId);
  }

  async conflict(): Promise<string | undefined> {
    return this.conflictSentence;
  }

  async interfaceNames(): Promise<readonly string[] | undefined> {
    return this.foreign;
  }
}

export class EventLog implements EventPublisher {
  readonly events: NodeEvent[] = [];

  publish(event: NodeEvent): void {
    this.events.push(event);
  }

  actions(): readonly string[] {
    return this.events.map(({ type, action }) => `${type} ${action}`);
  }
}
