// What is derived from services and tasks: names, ports, who refers to what, whose tasks run where.
import {
  type Config,
  PortProtocol,
  PublishMode,
  type Secret,
  type Service,
  type ServiceSpec,
  type Task,
  type TaskSpec,
  TaskState,
} from "../../proto/gen/service.js";
import { SparseBits } from "../ipam/sparse-bits.js";
import { SharedSpecs } from "./shared-specs.js";

export type Referred = "secret" | "config" | "network";

export class WorkIndex {
  readonly serviceNames = new Map<string, Service>();
  readonly secretNames = new Map<string, Secret>();
  readonly configNames = new Map<string, Config>();
  readonly #ports = new Map<string, Service>();
  readonly #portsTaken = new Map<PortProtocol, SparseBits>();
  readonly #tasksOf = new Groups<Task>();
  readonly #tasksOn = new Groups<Task>();
  readonly #specs = new SharedSpecs();
  /** Service ids by what they refer to, with how often: by their spec, and by each task that is not over. */
  readonly #users = new Map<string, Map<string, number>>();

  replaceSecret(before: Secret | undefined, after: Secret | undefined): void {
    rename(this.secretNames, before, after);
  }

  replaceConfig(before: Config | undefined, after: Config | undefined): void {
    rename(this.configNames, before, after);
  }

  replaceService(before: Service | undefined, after: Service | undefined): void {
    rename(this.serviceNames, before, after);
    for (const port of ingressPorts(before)) {
      this.#ports.delete(portKey(port));
      this.#takenOf(port.protocol).delete(port.publishedPort);
    }
    for (const port of ingressPorts(after)) {
      if (after !== undefined) this.#ports.set(portKey(port), after);
      this.#takenOf(port.protocol).add(port.publishedPort);
    }
    this.#refer(before?.id, referencesOf(before?.spec), -1);
    this.#refer(after?.id, referencesOf(after?.spec), 1);
  }

  replaceTask(before: Task | undefined, after: Task | undefined): void {
    this.#tasksOf.replace(before?.serviceId, after?.serviceId, before, after);
    this.#tasksOn.replace(before?.nodeId, after?.nodeId, before, after);
    this.#specs.replace(before, after);
    // Most changes of a task leave it as alive as it was; its spec and service never change (rules.ts).
    const was = before !== undefined && !isOver(before);
    const is = after !== undefined && !isOver(after);
    if (was === is) return;
    const task = after ?? before;
    this.#refer(task?.serviceId, referencesOf(task), is ? 1 : -1);
  }

  portHolder(protocol: PortProtocol, publishedPort: number): Service | undefined {
    return this.#ports.get(portKey({ protocol, publishedPort }));
  }
  lowestFreePort(protocol: PortProtocol, first: number, last: number): number | undefined {
    return this.#takenOf(protocol).lowestGap(first, last);
  }
  tasksOf(serviceId: string): Iterable<Task> {
    return this.#tasksOf.of(serviceId);
  }
  tasksOn(nodeId: string): Iterable<Task> {
    return this.#tasksOn.of(nodeId);
  }
  sharedSpec(
    task: Task,
    before: Task | undefined,
    service: Service | undefined,
  ): TaskSpec | undefined {
    return this.#specs.of(task, before, service);
  }
  usersOf(kind: Referred, id: string): Iterable<string> {
    return this.#users.get(`${kind}/${id}`)?.keys() ?? [];
  }

  #takenOf(protocol: PortProtocol): SparseBits {
    let taken = this.#portsTaken.get(protocol);
    if (taken === undefined) {
      taken = new SparseBits();
      this.#portsTaken.set(protocol, taken);
    }
    return taken;
  }

  #refer(serviceId: string | undefined, references: readonly string[], by: 1 | -1): void {
    if (serviceId === undefined) return;
    for (const reference of references) {
      const users = this.#users.get(reference) ?? new Map<string, number>();
      const count = (users.get(serviceId) ?? 0) + by;
      if (count > 0) users.set(serviceId, count);
      else users.delete(serviceId);
      if (users.size > 0) this.#users.set(reference, users);
      else this.#users.delete(reference);
    }
  }
}

/** Its end is recorded. */
export function isOver(task: Task): boolean {
  return (task.status?.state ?? TaskState.NEW) > TaskState.RUNNING;
}

class Groups<T extends { readonly id: string }> {
  readonly #groups = new Map<string, Map<string, T>>();

  of(key: string): Iterable<T> {
    return this.#groups.get(key)?.values() ?? [];
  }

  /** An empty key is no group. */
  replace(
    keyBefore: string | undefined,
    keyAfter: string | undefined,
    before: T | undefined,
    after: T | undefined,
  ): void {
    if (keyBefore && before !== undefined && (keyBefore !== keyAfter || after === undefined)) {
      const group = this.#groups.get(keyBefore);
      group?.delete(before.id);
      if (group?.size === 0) this.#groups.delete(keyBefore);
    }
    if (!keyAfter || after === undefined) return;
    const group = this.#groups.get(keyAfter);
    if (group === undefined) this.#groups.set(keyAfter, new Map([[after.id, after]]));
    else group.set(after.id, after);
  }
}

function rename<T extends { readonly spec: { readonly name: string } | undefined }>(
  names: Map<string, T>,
  before: T | undefined,
  after: T | undefined,
): void {
  if (before !== undefined) names.delete(before.spec?.name ?? "");
  if (after !== undefined) names.set(after.spec?.name ?? "", after);
}

function ingressPorts(service: Service | undefined) {
  const ports = service?.ports ?? [];
  return ports.filter((port) => port.publishMode === PublishMode.INGRESS);
}

function portKey(port: { readonly protocol: PortProtocol; readonly publishedPort: number }) {
  return `${PortProtocol[port.protocol]}/${port.publishedPort}`;
}

function referencesOf(each: ServiceSpec | Task | undefined): readonly string[] {
  const references = new Set<string>();
  const spec = each === undefined ? undefined : "task" in each ? each.task : each.spec;
  for (const { secretId } of spec?.container?.secrets ?? []) references.add(`secret/${secretId}`);
  for (const { configId } of spec?.container?.configs ?? []) references.add(`config/${configId}`);
  for (const { target } of spec?.networks ?? []) references.add(`network/${target}`);
  return [...references];
}
