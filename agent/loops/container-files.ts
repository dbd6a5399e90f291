// `docker cp`: the files of a container, running or not, through its runtime.
import type { Readable } from "node:stream";
import { isRefusal, type Refusal, refuse } from "../../common/fault.js";
import type { Containers, PathStat } from "../seams.js";
import type { ContainerRecord } from "../task/life.js";
import type { Runtime } from "../task/runtime.js";
import type { ContainerEvents } from "./container-events.js";
import { type Runtimes, runtimeOf } from "./container-start.js";
import type { ContainerTable } from "./container-table.js";

export class ContainerFiles {
  constructor(
    private readonly runtimes: Runtimes,
    private readonly table: ContainerTable,
    private readonly events: ContainerEvents,
  ) {}

  async stat(ref: string, path: string): Promise<PathStat | Refusal> {
    const found = this.#find(ref);
    return isRefusal(found)
      ? found
      : asAsked(await found.paths.stat(found.id, path), found.id, ref);
  }

  async read(ref: string, path: string): ReturnType<Containers["readPath"]> {
    const found = this.#find(ref);
    if (isRefusal(found)) return found;
    const read = await found.paths.read(found.id, path);
    if (!isRefusal(read)) this.events.container("archive-path", found.record);
    return asAsked(read, found.id, ref);
  }

  async write(
    ref: string,
    path: string,
    tar: Readable,
    options: { readonly keepKinds: boolean },
  ): Promise<Refusal | undefined> {
    const found = this.#find(ref);
    if (isRefusal(found)) return found;
    const refusal = await found.paths.write(found.id, path, tar, options);
    if (refusal === undefined) this.events.container("extract-to-dir", found.record);
    return asAsked(refusal, found.id, ref);
  }

  #find(ref: string): Found | Refusal {
    const entry = this.table.find(ref);
    if (isRefusal(entry)) return entry;
    const { record } = entry;
    const runtime = runtimeOf(record.spec, this.runtimes);
    return isRefusal(runtime) ? runtime : { id: record.id, record, paths: runtime.paths };
  }
}

interface Found {
  readonly id: string;
  readonly record: ContainerRecord;
  readonly paths: Runtime["paths"];
}

/** A runtime knows ids only; a person reads the name that they wrote. */
function asAsked<T>(answer: T | Refusal, id: string, ref: string): T | Refusal {
  if (!isRefusal(answer)) return answer;
  return refuse(answer.code, answer.message.replaceAll(id, ref));
}
