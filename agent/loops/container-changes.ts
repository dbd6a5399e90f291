// What can be changed of a container that is there: its name, its restart rule, its limits.
import { isRefusal, type Refusal, refuse } from "../../common/fault.js";
import type { Limits, RestartRule } from "../seams.js";
import { withLimits } from "../task/limits.js";
import { checkRestartRule, checkSpec, isContainerName } from "../task/spec.js";
import * as words from "../task/words.js";
import type { ContainerEntry } from "./container-entry.js";
import type { ContainerEvents } from "./container-events.js";
import type { ContainerTable } from "./container-table.js";

export async function rename(
  entry: ContainerEntry,
  name: string,
  table: ContainerTable,
  events: ContainerEvents,
): Promise<Refusal | undefined> {
  const wanted = name.startsWith("/") ? name.slice(1) : name;
  if (!isContainerName(wanted)) return words.badName(wanted);
  if (wanted === entry.record.spec.name) return words.sameName();
  const owner = table.ownerOf(wanted);
  if (owner !== undefined) return words.nameTaken(wanted, owner);
  if (entry.record.phase === "removing") return words.beingRemoved(entry.record);
  const oldName = entry.record.spec.name;
  await entry.step({ kind: "rename", name: wanted });
  events.container("rename", entry.record, { oldName: `/${oldName}` });
  return undefined;
}

export async function changeRestart(
  entry: ContainerEntry,
  restart: RestartRule,
  events: ContainerEvents,
): Promise<Refusal | undefined> {
  if (entry.record.phase === "removing") return words.beingRemoved(entry.record);
  if (entry.record.spec.autoRemove && restart.name !== "no") {
    return refuse(
      "invalid-argument",
      "Restart policy cannot be updated because AutoRemove is enabled for the container",
    );
  }
  const wrong = checkRestartRule(restart);
  if (wrong) return wrong;
  await entry.step({ kind: "rule", restart });
  events.container("update", entry.record);
  return undefined;
}

/** At once, if it runs. */
export async function changeLimits(
  entry: ContainerEntry,
  asked: Limits,
  cpus: number,
  events: ContainerEvents,
): Promise<Refusal | undefined> {
  await entry.starting?.done;
  const { id, spec, phase } = entry.record;
  if (phase === "removing") return words.beingRemoved(entry.record);
  const cannot = (refusal: Refusal) =>
    refuse(refusal.code, `Cannot update container ${id}: ${refusal.message}`);
  const limits = withLimits(spec.limits, asked);
  if (isRefusal(limits)) return cannot(limits);
  const wrong = checkSpec({ ...spec, limits }, cpus);
  if (wrong) return wrong;
  const refusal = await entry.supervised?.limit(limits);
  if (refusal) return cannot(refusal);
  await entry.step({ kind: "limits", limits });
  events.container("update", entry.record);
  return undefined;
}
