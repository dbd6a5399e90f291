// What is said to who asked wrongly of a container, in Docker's words where Docker has them.
import { type Refusal, refuse } from "../../common/fault.js";
import type { ContainerRecord } from "./life.js";

const SHORT_ID = 12;

export function shortId(id: string): string {
  return id.slice(0, SHORT_ID);
}

export function noSuchContainer(ref: string): Refusal {
  return refuse("not-found", `No such container: ${ref}`);
}

export function ambiguousPrefix(ref: string): Refusal {
  return refuse("invalid-argument", `Multiple IDs found with provided prefix: ${ref}`);
}

export function nameTaken(name: string, ownerId: string): Refusal {
  return refuse(
    "already-exists",
    `Conflict. The container name "/${name}" is already in use by container "${ownerId}". ` +
      "You have to remove (or rename) that container to be able to reuse that name.",
  );
}

export function sameName(): Refusal {
  return refuse("invalid-argument", "Renaming a container with the same name as its current name");
}

export function badName(name: string): Refusal {
  return refuse(
    "invalid-argument",
    `Invalid container name (${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
  );
}

export function notRunning(record: ContainerRecord): Refusal {
  return refuse("failed-precondition", `Container ${record.id} is not running`);
}

export function cannotKill(ref: string, record: ContainerRecord): Refusal {
  return refuse(
    "failed-precondition",
    `Cannot kill container: ${ref}: Container ${record.id} is not running`,
  );
}

export function cannotRemoveRunning(record: ContainerRecord): Refusal {
  return refuse(
    "failed-precondition",
    `You cannot remove a running container ${record.id}. Stop the container before attempting removal or force remove`,
  );
}

export function beingRemoved(record: ContainerRecord): Refusal {
  return refuse(
    "failed-precondition",
    `removal of container ${record.spec.name} is already in progress`,
  );
}

export function markedForRemoval(record: ContainerRecord): Refusal {
  return refuse(
    "failed-precondition",
    `container ${record.id} is marked for removal and cannot be started`,
  );
}

export function noSuchExec(id: string): Refusal {
  return refuse("not-found", `No such exec instance: ${id}`);
}

export function execRuns(id: string): Refusal {
  return refuse("failed-precondition", `Error: Exec command ${id} is already running`);
}

export function couldNotAttach(network: string, refusal: Refusal): Refusal {
  return refuse(refusal.code, `Could not attach to network ${network}: ${refusal.message}`);
}
