// What happened on this node, for `skein events`: the last 256, and whatever follows.
import { Topic, type Unsubscribe } from "../../common/watch.js";
import type { Events, NodeEvent } from "../seams.js";
import type { EventPublisher } from "./placing.js";

/** Docker keeps as many (moby daemon/events, eventsLimit). */
const EVENTS_MAX = 256;

export class EventLog implements Events, EventPublisher {
  readonly #recent: NodeEvent[] = [];
  readonly #topic = new Topic<NodeEvent>();

  publish(event: NodeEvent): void {
    this.#recent.push(event);
    if (this.#recent.length > EVENTS_MAX) this.#recent.shift();
    this.#topic.publish(event);
  }

  recent(): readonly NodeEvent[] {
    return [...this.#recent];
  }

  follow(listener: (event: NodeEvent) => void): Unsubscribe {
    return this.#topic.subscribe(listener);
  }
}
