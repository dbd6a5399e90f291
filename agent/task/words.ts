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

/** As dockerd says it: with the tag that is meant. The CLI pulls the image when it reads this. */
export function noSuchImage(ref: string): Refusal {
  const last = ref.slice(ref.lastIndexOf("/") + 1);
  const whole = last.includes(":") || last.includes("@") ? ref : `${ref}:latest`;
  return refuse("not-found", `No such image: ${whole}`);
}

export const NO_CONTAINERD = refuse(
  "unavailable",
  "there is no containerd on this node, so it runs no images: install containerd and runc, " +
    "or run a command of this machine with --runtime process",
);

export function isPaused(record: ContainerRecord): Refusal {
  return refuse("failed-precondition", `Container ${record.id} is already paused`);
}

export function isNotPaused(record: ContainerRecord): Refusal {
  return refuse("failed-precondition", `Container ${record.id} is not paused`);
}

export function cannotExecPaused(record: ContainerRecord): Refusal {
  return refuse(
    "failed-precondition",
    `Container ${record.spec.name} is paused, unpause the container before exec`,
  );
}

export function cannotAttachPaused(): Refusal {
  return refuse(
    "failed-precondition",
    "cannot attach to a paused container, unpause the container and try again",
  );
}

export function cannotStartPaused(): Refusal {
  return refuse("failed-precondition", "cannot start a paused container, try unpause instead");
}

export function onHostNetwork(): Refusal {
  return refuse(
    "permission-denied",
    "container cannot be disconnected from host network or connected to host network",
  );
}

// runconfig, ErrConflictSharedNetwork.
export function onSharedNetwork(): Refusal {
  return refuse(
    "permission-denied",
    "container sharing network namespace with another container or host cannot be connected to any other network",
  );
}

/** `--network container:OTHER`, and the other does not run. */
export function cannotShare(other: string): Refusal {
  return refuse("failed-precondition", `cannot join network of a non running container: ${other}`);
}

export function onNoNetwork(): Refusal {
  return refuse(
    "permission-denied",
    "container cannot be connected to multiple networks with one of the networks in private (none) mode",
  );
}

export function isRestarting(record: ContainerRecord): Refusal {
  return refuse(
    "failed-precondition",
    `Container ${record.id} is restarting, wait until the container is running`,
  );
}

export function notConnected(record: ContainerRecord, network: string): Refusal {
  return refuse(
    "permission-denied",
    `container ${record.id} is not connected to network ${network}`,
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

export function cannotRemoveRunning(record: ContainerRecord, state = "running"): Refusal {
  const how =
    state === "paused"
      ? "Unpause and then stop the container before attempting removal or force remove"
      : "Stop the container before attempting removal or force remove";
  return refuse(
    "failed-precondition",
    `You cannot remove a ${state} container ${record.id}. ${how}`,
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
