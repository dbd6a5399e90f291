// The columns of `skein service ls`.
import type { Listing } from "../format/listing.js";
import { shortId } from "../format/units.js";
import { at, items, type Json, number, object, text } from "../json.js";

export function serviceListing(): Listing<Json> {
  return {
    typeName: "*service.serviceContext",
    table: "{{.ID}}\t{{.Name}}\t{{.Mode}}\t{{.Replicas}}\t{{.Image}}\t{{.Ports}}",
    quiet: "{{.ID}}",
    headers: {
      ID: "ID",
      Name: "NAME",
      Mode: "MODE",
      Replicas: "REPLICAS",
      Image: "IMAGE",
      Ports: "PORTS",
    },
    fields: (row) => ({
      ID: () => shortId(text(row, "ID")),
      Name: () => text(row, "Spec", "Name"),
      Mode: () => modeOf(row),
      Replicas: () => replicasOf(row),
      Image: () => imageOf(text(row, "Spec", "TaskTemplate", "ContainerSpec", "Image")),
      Ports: () => portsOf(row),
    }),
  };
}

/** Without the digest that was recorded beside a tag. */
function imageOf(image: string): string {
  return image.replace(/^(.+:[^/@]+)@sha256:[0-9a-f]+$/, "$1");
}

function modeOf(service: Json): string {
  const mode = object(at(service, "Spec", "Mode"));
  if (mode["Global"] !== undefined) return "global";
  if (mode["ReplicatedJob"] !== undefined) return "replicated job";
  if (mode["GlobalJob"] !== undefined) return "global job";
  return "replicated";
}

function replicasOf(service: Json): string {
  const mode = object(at(service, "Spec", "Mode"));
  const count = (key: string) => number(service, "ServiceStatus", key);
  const base = `${count("RunningTasks")}/${count("DesiredTasks")}`;
  const done = count("CompletedTasks");
  if (mode["ReplicatedJob"] !== undefined) {
    return `${base} (${done}/${number(mode["ReplicatedJob"], "TotalCompletions")} completed)`;
  }
  if (mode["GlobalJob"] !== undefined) {
    return `${base} (${done}/${count("DesiredTasks") + done} completed)`;
  }
  const max = number(service, "Spec", "TaskTemplate", "Placement", "MaxReplicas");
  return max > 0 ? `${base} (max ${max} per node)` : base;
}

/** Ports of one kind that follow each other are shown as a range. */
function portsOf(service: Json): string {
  const ports = items(service, "Endpoint", "Ports")
    .filter((port) => text(port, "PublishMode") === "ingress")
    .map((port) => ({
      published: number(port, "PublishedPort"),
      target: number(port, "TargetPort"),
      protocol: text(port, "Protocol"),
    }))
    .sort((a, b) =>
      a.protocol === b.protocol ? a.published - b.published : a.protocol < b.protocol ? -1 : 1,
    );
  const runs: { first: (typeof ports)[number]; length: number }[] = [];
  for (const port of ports) {
    const run = runs.at(-1);
    const follows =
      run !== undefined &&
      run.first.protocol === port.protocol &&
      run.first.published + run.length === port.published &&
      run.first.target + run.length === port.target;
    if (follows) run.length++;
    else runs.push({ first: port, length: 1 });
  }
  const range = (first: number, length: number) =>
    length === 1 ? String(first) : `${first}-${first + length - 1}`;
  return runs
    .map(
      ({ first, length }) =>
        `*:${range(first.published, length)}->${range(first.target, length)}/${first.protocol}`,
    )
    .join(", ");
}
