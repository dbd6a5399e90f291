// Objects of the swarm by id, name, or unambiguous beginning of an id, as dockerd looks them up before it
// asks its manager for more: "not found" comes in its own words, without gRPC's around them.
import type { Service, Task } from "../../proto/gen/service.js";
import { HttpError } from "./http-error.js";
import { type Asker, ask } from "./manager.js";

// Control's words for one (proto/control.proto), within those of gRPC.
const WRAPPED =
  /^rpc error: code = (?:NotFound|InvalidArgument) desc = (.*(?:not found|matches found.*))$/;

export function findService(asker: Asker, ref: string): Promise<Service> {
  return plainly(ask(asker, (client) => client.getService, { ref }, true));
}

export function findTask(asker: Asker, ref: string): Promise<Task> {
  return plainly(ask(asker, (client) => client.getTask, { ref }, true));
}

async function plainly<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    const sentence = error instanceof HttpError ? WRAPPED.exec(error.message)?.[1] : undefined;
    throw sentence === undefined ? error : new HttpError((error as HttpError).status, sentence);
  }
}
