// What happens to containers, as Docker's events say it: the container's labels, its image and name,
// and what else the action has.
import type { Clock } from "../../common/clock.js";
import type { ContainerRecord } from "../task/life.js";
import type { EventPublisher } from "./placing.js";

const NANOSECONDS_PER_MS = 1_000_000n;

export class ContainerEvents {
  constructor(
    private readonly publisher: EventPublisher,
    private readonly clock: Clock,
  ) {}

  container(
    action: string,
    record: ContainerRecord,
    more: Readonly<Record<string, string>> = {},
  ): void {
    const { image, name, labels } = record.spec;
    const attributes = { ...labels, image, name, ...more };
    this.#publish("container", action, record.id, attributes);
  }

  connected(record: ContainerRecord): void {
    this.#networks("connect", record);
  }

  disconnected(record: ContainerRecord): void {
    this.#networks("disconnect", record);
  }

  #networks(action: string, record: ContainerRecord): void {
    for (const { given } of record.endpoints) {
      if (given === undefined) continue;
      const name = given.network.spec?.name ?? "";
      const type = given.network.spec?.driver || "overlay";
      this.#publish("network", action, given.network.id, { container: record.id, name, type });
    }
  }

  #publish(
    type: "container" | "network",
    action: string,
    id: string,
    attributes: Readonly<Record<string, string>>,
  ): void {
    const timeNs = BigInt(this.clock.nowMs()) * NANOSECONDS_PER_MS;
    this.publisher.publish({ type, action, id, attributes, scope: "local", timeNs });
  }
}
