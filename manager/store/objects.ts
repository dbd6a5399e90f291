// The kinds of object that the store holds, as types; what each means is said in proto/types.proto.
import type { Config, Secret, Service, Task } from "../../proto/gen/service.js";
import type { StoreObject } from "../../proto/gen/store.js";
import type {
  Cluster,
  Endpoint,
  Meta,
  Network,
  Node,
  Policy,
  Quarantine,
} from "../../proto/gen/types.js";

export interface Objects {
  readonly cluster: Cluster;
  readonly node: Node;
  readonly network: Network;
  readonly endpoint: Endpoint;
  readonly quarantine: Quarantine;
  readonly secret: Secret;
  readonly config: Config;
  readonly service: Service;
  readonly task: Task;
  readonly policy: Policy;
}
export type Kind = keyof Objects;

/** Every kind once, in the order of a snapshot: what an object refers to comes before it. */
export const KINDS = [
  "cluster",
  "node",
  "network",
  "endpoint",
  "quarantine",
  "secret",
  "config",
  "service",
  "task",
  "policy",
] as const;

export function isKind(text: string): text is Kind {
  return (KINDS as readonly string[]).includes(text);
}

/** One object becoming another: created when there is no `before`, removed when there is no `after`. */
export type Change = {
  readonly [K in Kind]: {
    readonly kind: K;
    readonly id: string;
    readonly before: Objects[K] | undefined;
    readonly after: Objects[K] | undefined;
  };
}[Kind];

export type Item = NonNullable<StoreObject["object"]>;

/** The object as a member of the closed union that the log carries. */
export function itemOf<K extends Kind>(kind: K, value: Objects[K]): Item {
  return { $case: kind, value } as Item;
}

/** The change that puts `item` in the place of `before`. */
export function changeTo(item: Item, before: Objects[Kind] | undefined): Change {
  return { kind: item.$case, id: item.value.id, before, after: item.value } as Change;
}

export function removalOf(kind: Kind, id: string, before: Objects[Kind]): Change {
  return { kind, id, before, after: undefined } as Change;
}

export function reverseOf(change: Change): Change {
  return { ...change, before: change.after, after: change.before } as Change;
}

const NO_META: Meta = { version: 0, createdVersion: 0, createdAtMs: 0, updatedAtMs: 0 };

export function metaOf(object: { readonly meta: Meta | undefined }): Meta {
  return object.meta ?? NO_META;
}

export function versionOf(object: { readonly meta: Meta | undefined }): number {
  return object.meta?.version ?? 0;
}

/** The same object with other history. */
export function withMeta(item: Item, meta: Meta): Item {
  return { $case: item.$case, value: { ...item.value, meta } } as Item;
}
