// A container is made: checked, named, on disk, with its files; or nothing of it stays.
import { faultFields, isRefusal, type Refusal } from "../../common/fault.js";
import type { Container, ContainerSpec } from "../seams.js";
import type { ContainerDisk } from "../task/keeping.js";
import { advance, type ContainerRecord, newRecord } from "../task/life.js";
import { newName } from "../task/names.js";
import { checkSpec } from "../task/spec.js";
import * as words from "../task/words.js";
import { ContainerEntry } from "./container-entry.js";
import type { ContainerEvents } from "./container-events.js";
import type { ContainerLives } from "./container-lives.js";
import { fillIn, type MakeTools, makeFiles } from "./container-make.js";
import { runtimeOf } from "./container-start.js";
import type { ContainerTable } from "./container-table.js";
import { CONTAINERS_MAX, tooMany } from "./containers-limits.js";

export interface CreationTools extends MakeTools {
  readonly disk: ContainerDisk;
  /** How many the machine has. */
  readonly cpus: number;
}

export class ContainerCreation {
  constructor(
    private readonly tools: CreationTools,
    private readonly table: ContainerTable,
    private readonly lives: Pick<ContainerLives, "removeSoon">,
    private readonly events: ContainerEvents,
  ) {}

  async create(spec: ContainerSpec): Promise<Container | Refusal> {
    const { cpus, random, clock, volumes } = this.tools;
    const wrong = checkSpec(spec, cpus);
    if (wrong) return wrong;
    if (this.table.size >= CONTAINERS_MAX) return tooMany("containers", CONTAINERS_MAX);
    const filled = await fillIn(spec, this.tools);
    if (isRefusal(filled)) return filled;
    const name = spec.name || newName(random, (wanted) => this.table.ownerOf(wanted) !== undefined);
    const owner = this.table.ownerOf(name);
    if (owner !== undefined) return words.nameTaken(name, owner);
    const record = newRecord(this.table.newId(), { ...filled.spec, name }, clock.nowMs());
    this.table.reserve(name, record.id);
    try {
      return await this.#make(record, filled.imageId);
    } finally {
      this.table.settled(name);
      volumes.settled(record.id);
    }
  }

  async #make(bare: ContainerRecord, imageId: string): Promise<Container | Refusal> {
    const { disk } = this.tools;
    // On disk first: an agent killed in between leaves a record, and so nothing that nobody knows of.
    await disk.save(bare);
    let record = bare;
    try {
      const mountPoints = await makeFiles(bare.id, { spec: bare.spec, imageId }, this.tools);
      if (isRefusal(mountPoints)) {
        await disk.remove(bare.id);
        return mountPoints;
      }
      record = advance(bare, { kind: "made", imageId, mountPoints });
      await disk.save(record);
    } catch (error) {
      await this.#unmake(bare);
      throw error;
    }
    const entry = new ContainerEntry(record, disk);
    this.table.add(entry);
    this.events.container("create", record);
    return entry.show();
  }

  /** Nothing of it stays. While its runtime does not answer it is one that is being removed, also for the next agent. */
  async #unmake(bare: ContainerRecord): Promise<void> {
    const { disk, runtimes, log } = this.tools;
    const runtime = runtimeOf(bare.spec, runtimes);
    try {
      if (!isRefusal(runtime)) await runtime.erase(bare.id);
      await disk.remove(bare.id);
    } catch (error) {
      log.warn({ container: bare.id, ...faultFields(error) }, "not unmade yet");
      const entry = new ContainerEntry(bare, disk);
      await entry.mustGoOn({ kind: "remove" }, log);
      this.table.add(entry);
      this.lives.removeSoon(entry);
    }
  }
}
