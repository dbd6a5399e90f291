// What may stand in {{ }} in a task: its node, its service, itself (SwarmKit's template package). In
// secrets and configs with the driver "golang" also other secrets and configs and the environment.

import { type ContainerSpec, type Mount, Task } from "../../proto/gen/service.js";
import { execute } from "./evaluate.js";
import { parse } from "./parse.js";
import { Fields, type GoMap, type GoValue, TemplateError } from "./value.js";

/** What a task is told of the machine it is on. */
export interface TaskNode {
  readonly id: string;
  readonly hostname: string;
  readonly architecture: string;
  readonly os: string;
}

export interface TaskTexts {
  readonly secret: (target: string) => string;
  readonly config: (target: string) => string;
  readonly env: (name: string) => string;
}

/** "web.1.<id>": unique, and what Docker calls its container. A global task's slot is its node. */
export function taskName({ id, slot, nodeId, serviceName }: Task): string {
  return `${serviceName}.${slot === 0 ? nodeId : slot}.${id}`;
}

/** The spec with its templates filled in. Throws a TemplateError that says where. */
export function expandSpec(task: Task, spec: ContainerSpec, node: TaskNode): ContainerSpec {
  return withTexts(spec, (text, what) => expandText(text, task, node, what));
}

// A text whose templates name fields and do nothing else.
const NAMES_FIELDS_ONLY = /^(?:(?!\{\{)[\s\S]|\{\{-?[\s.\w]*-?\}\})*$/;
const SOME_TASK = Task.create({
  id: "task",
  serviceId: "service",
  serviceName: "service",
  slot: 1,
});
const SOME_NODE: TaskNode = { id: "node", hostname: "node", architecture: "x86_64", os: "linux" };

/**
 * What is wrong with the templates of a spec, as far as that can be told before there is a task. Where they name
 * fields, they are tried; of others the form alone is judged, because a loop may take as long as its writer wants.
 */
export function templateProblem(spec: ContainerSpec): string | undefined {
  try {
    withTexts(spec, (text, what) => {
      if (!text.includes("{{")) return text;
      // Which labels there are is not known here, and a node fills in what its task has.
      const isKnown = NAMES_FIELDS_ONLY.test(text) && !text.includes(".Service.Labels");
      if (isKnown) return expandText(text, SOME_TASK, SOME_NODE, what);
      inPlace(what, () => parse(text, JOIN));
      return text;
    });
    return undefined;
  } catch (error) {
    if (error instanceof TemplateError) return error.message;
    throw error;
  }
}

type Expand = (text: string, what: string) => string;

function withTexts(spec: ContainerSpec, expand: Expand): ContainerSpec {
  const expandMap = (map: Readonly<Record<string, string>>, what: string) =>
    Object.fromEntries(Object.entries(map).map(([key, text]) => [key, expand(text, what)]));
  const mount = (each: Mount): Mount => ({
    ...each,
    source: expand(each.source, `expanding mount source "${each.source}"`),
    target: expand(each.target, `expanding mount target "${each.target}"`),
    labels: expandMap(each.labels, "expanding volume labels"),
    driverOptions: expandMap(each.driverOptions, "expanding volume driver options"),
  });
  return {
    ...spec,
    env: spec.env.map((entry) => {
      const at = entry.indexOf("=");
      if (at < 0) return entry;
      const what = `expanding env failed: expanding env "${entry}"`;
      return `${entry.slice(0, at)}=${expand(entry.slice(at + 1), what)}`;
    }),
    hostname: expand(spec.hostname, "expanding hostname failed"),
    mounts: spec.mounts.map(mount),
  };
}

/** A secret's or config's bytes with their templates filled in. Throws a TemplateError. */
export function expandPayload(
  data: Uint8Array,
  task: Task,
  node: TaskNode,
  texts: TaskTexts,
): Uint8Array {
  const text = Buffer.from(data).toString("utf8");
  const functions = {
    secret: (name: GoValue) => texts.secret(String(name)),
    config: (name: GoValue) => texts.config(String(name)),
    env: (name: GoValue) => texts.env(String(name)),
    ...JOIN,
  };
  return Buffer.from(named(() => execute(parse(text, functions), contextOf(task, node))));
}

function expandText(text: string, task: Task, node: TaskNode, what: string): string {
  if (!text.includes("{{")) return text;
  return inPlace(what, () => execute(parse(text, JOIN), contextOf(task, node)));
}

function inPlace<T>(what: string, run: () => T): T {
  try {
    return named(run);
  } catch (error) {
    if (error instanceof TemplateError) throw new TemplateError(`${what}: ${error.message}`);
    throw error;
  }
}

// SwarmKit's only function of its own: the separator comes first.
const JOIN = {
  join: (separator: GoValue, ...parts: GoValue[]) => parts.map(String).join(String(separator)),
};

function contextOf(task: Task, node: TaskNode): GoValue {
  const { serviceId, serviceName, serviceLabels } = task;
  const fields = (type: string, of: GoMap) =>
    new Fields(type, new Map(Object.entries(of).map(([key, value]) => [key, () => value])));
  return fields("template.Context", {
    Service: fields("struct", { ID: serviceId, Name: serviceName, Labels: serviceLabels }),
    Node: fields("struct", {
      ID: node.id,
      Hostname: node.hostname,
      Platform: fields("template.Platform", { OS: node.os, Architecture: node.architecture }),
    }),
    Task: fields("struct", {
      ID: task.id,
      Name: taskName(task),
      Slot: task.slot === 0 ? task.nodeId : String(task.slot),
    }),
  });
}

/** Go names the template in its messages, and SwarmKit's is called "expansion". */
function named<T>(run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    const message = error.message
      .replace(/^template: :/, "template: expansion:")
      .replace('executing ""', 'executing "expansion"');
    throw new TemplateError(message);
  }
}
