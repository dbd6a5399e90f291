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

  /** Its volumes are there, for as long as it runs. */
  mounted(record: ContainerRecord): void {
    for (const { mount, name } of record.mountPoints) {
      if (mount.kind !== "volume") continue;
      this.#publish("volume", "mount", name, {
        container: record.id,
        destination: mount.target,
        driver: "local",
        propagation: "",
        "read/write": String(!mount.readOnly),
      });
    }
  }

  unmounted(record: ContainerRecord): void {
    for (const { mount, name } of record.mountPoints) {
      if (mount.kind !== "volume") continue;
      this.#publish("volume", "unmount", name, { container: record.id, driver: "local" });
    }
  }

  connected(record: ContainerRecord): void {
    this.#networks("connect", record);
  }

  disconnected(record: ContainerRecord): void {
    this.#networks("disconnect", record);
  }

  /** One network that was joined, or left, while it runs. */
  network(action: "connect" | "disconnect", record: ContainerRecord, endpointId: string): void {
    const endpoints = record.endpoints.filter(({ id }) => id === endpointId);
    this.#networks(action, { ...record, endpoints });
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
    type: "container" | "network" | "volume",
    action: string,
    id: string,
    attributes: Readonly<Record<string, string>>,
  ): void {
    const timeNs = BigInt(this.clock.nowMs()) * NANOSECONDS_PER_MS;
    this.publisher.publish({ type, action, id, attributes, scope: "local", timeNs });
  }
}
