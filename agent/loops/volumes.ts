// The named and nameless volumes of this node, and what the containers mount: made, filled, held while
// somebody runs with them, and removed when nobody refers to them.
import type { Readable } from "node:stream";
import type { Clock } from "../../common/clock.js";
import { isRefusal, messageOf, type Refusal, refuse } from "../../common/fault.js";
import { newLocalId } from "../../common/ids.js";
import type { Logger } from "../../common/log.js";
import type { Random } from "../../common/random.js";
import type { Mount, MountPoint, Volume, Volumes } from "../seams.js";
import type { VolumeDisk, VolumeRecord } from "../task/keeping.js";
import { badVolumeName, VOLUME_NAME } from "../task/volume-name.js";
import { mountCall } from "../task/volume-options.js";
import type { ContainerVolumes, EventPublisher } from "./placing.js";

export interface VolumeTools {
  readonly disk: VolumeDisk;
  /** Ids of the containers whose records name the volume. */
  readonly usersOf: (name: string) => readonly string[];
  readonly events: EventPublisher;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

// Docker's mark of a volume that was made for one container.
const ANONYMOUS = "com.docker.volume.anonymous";
// Choice, as for containers: a script's loop ends in a sentence.
const VOLUMES_MAX = 10_000;
const NS_PER_MS = 1_000_000n;

export class VolumeLoop implements Volumes, ContainerVolumes {
  readonly #records = new Map<string, VolumeRecord>();
  /** Volumes of containers that are being made, by the container's id. */
  readonly #making = new Map<string, readonly string[]>();
  /** Who runs with which mounted volume. */
  readonly #held = new Map<string, Set<string>>();
  /** Changes of the set of volumes go one after another. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(private readonly tools: VolumeTools) {}

  async restore(): Promise<void> {
    for (const record of await this.tools.disk.load()) this.#records.set(record.name, record);
  }

  /** All containers that run have held theirs: what is mounted for nobody is unmounted. */
  async restored(): Promise<void> {
    for (const { name, options } of this.#records.values()) {
      if (Object.keys(options).length === 0 || this.#held.has(name)) continue;
      await this.tools.disk.unmount(name).catch((error: unknown) => {
        this.tools.log.warn({ volume: name, err: messageOf(error) }, "volume not unmounted");
      });
    }
  }

  // ---- Volumes -----------------------------------------------------------------------------------

  list(): readonly Volume[] {
    return [...this.#records.values()].map((record) => this.#show(record));
  }

  get(name: string): Volume | Refusal {
    const record = this.#records.get(name);
    return record === undefined ? noSuchVolume(name) : this.#show(record);
  }

  create(wish: Parameters<Volumes["create"]>[0]): Promise<Volume | Refusal> {
    return this.#inTurn(() => this.#create(wish));
  }

  remove(name: string, force: boolean): Promise<Refusal | undefined> {
    return this.#inTurn(async () => {
      if (!this.#records.has(name)) return force ? undefined : noSuchVolume(name);
      const users = this.#usersOf(name);
      if (users.length > 0) {
        return refuse(
          "failed-precondition",
          `remove ${name}: volume is in use - [${users.join(", ")}]`,
        );
      }
      await this.#remove(name);
      return undefined;
    });
  }

  prune(
    all: boolean,
    keep: (volume: Volume) => boolean,
  ): Promise<{ readonly removed: readonly string[]; readonly bytes: number }> {
    return this.#inTurn(async () => {
      const removed: string[] = [];
      let bytes = 0;
      for (const volume of this.list()) {
        if ((!all && !volume.anonymous) || keep(volume)) continue;
        if (this.#usersOf(volume.name).length > 0) continue;
        bytes += await this.tools.disk.bytes(volume.name);
        await this.#remove(volume.name);
        removed.push(volume.name);
      }
      return { removed, bytes };
    });
  }

  // ---- What containers mount -----------------------------------------------------------------------

  async make(
    containerId: string,
    mounts: readonly Mount[],
  ): Promise<readonly MountPoint[] | Refusal> {
    const points: MountPoint[] = [];
    for (const mount of mounts) {
      const point = await this.#inTurn(() => this.#point(containerId, mount));
      if (isRefusal(point)) {
        this.settled(containerId);
        await this.drop(points);
        return point;
      }
      points.push(point);
    }
    return points;
  }

  settled(containerId: string): void {
    this.#making.delete(containerId);
  }

  async toFill(mountPoints: readonly MountPoint[]): Promise<readonly MountPoint[]> {
    const empty: MountPoint[] = [];
    for (const point of mountPoints) {
      const { mount, name } = point;
      const record = this.#records.get(name);
      if (mount.kind !== "volume" || mount.noCopy || mount.subpath !== "") continue;
      if (record === undefined || Object.keys(record.options).length > 0) continue;
      if (await this.tools.disk.isEmpty(name)) empty.push(point);
    }
    return empty;
  }

  fill(point: MountPoint, tar: Readable): Promise<void> {
    return this.tools.disk.fill(point.name, tar);
  }

  hold(containerId: string, mountPoints: readonly MountPoint[]): Promise<Refusal | undefined> {
    return this.#inTurn(async () => {
      for (const { mount, source, name } of mountPoints) {
        if (
          mount.kind === "bind" &&
          !(await this.tools.disk.hasSource(source, mount.createSource))
        ) {
          return noBindSource(source);
        }
        const record = this.#records.get(name);
        if (mount.kind !== "volume") continue;
        if (record === undefined) return noSuchVolume(name);
        if (Object.keys(record.options).length === 0) continue;
        try {
          await this.tools.disk.mount(record);
        } catch (error) {
          return refuse("unavailable", `failed to mount local volume: ${messageOf(error)}`);
        }
        const holders = this.#held.get(name) ?? new Set();
        this.#held.set(name, holders.add(containerId));
      }
      return undefined;
    });
  }

  letGo(containerId: string): Promise<void> {
    return this.#inTurn(async () => {
      for (const [name, holders] of this.#held) {
        if (!holders.delete(containerId) || holders.size > 0) continue;
        this.#held.delete(name);
        await this.tools.disk.unmount(name).catch((error: unknown) => {
          this.tools.log.warn({ volume: name, err: messageOf(error) }, "volume not unmounted");
        });
      }
    });
  }

  drop(mountPoints: readonly MountPoint[]): Promise<void> {
    return this.#inTurn(async () => {
      for (const { name } of mountPoints) {
        const record = this.#records.get(name);
        if (record === undefined || !isAnonymous(record)) continue;
        if (this.#usersOf(name).length === 0) await this.#remove(name);
      }
    });
  }

  // ---- One after another ---------------------------------------------------------------------------

  async #point(containerId: string, mount: Mount): Promise<MountPoint | Refusal> {
    const { disk } = this.tools;
    if (mount.kind === "tmpfs") return { mount, source: "", name: "" };
    if (mount.kind === "bind") {
      const isThere = await disk.hasSource(mount.source, mount.createSource);
      return isThere ? { mount, source: mount.source, name: "" } : noBindSource(mount.source);
    }
    const labels =
      mount.source === "" ? { ...mount.volumeLabels, [ANONYMOUS]: "" } : mount.volumeLabels;
    const volume = await this.#create({
      name: mount.source,
      driver: mount.volumeDriver,
      labels,
      options: mount.volumeOptions,
    });
    if (isRefusal(volume)) return volume;
    const { name } = volume;
    this.#making.set(containerId, [...(this.#making.get(containerId) ?? []), name]);
    if (mount.subpath === "") return { mount, source: volume.mountpoint, name };
    const source = await disk.below(name, mount.subpath);
    if (source === undefined) {
      return refuse(
        "invalid-argument",
        `cannot access path ${disk.mountpoint(name)}/${mount.subpath}: it is not in the volume`,
      );
    }
    return { mount, source, name };
  }

  async #create(wish: Parameters<Volumes["create"]>[0]): Promise<Volume | Refusal> {
    if (wish.driver !== "" && wish.driver !== "local") {
      // No 404, as dockerd answers: clients take that for a missing image, and pull.
      return refuse(
        "invalid-argument",
        `error looking up volume plugin ${wish.driver}: plugin "${wish.driver}" not found`,
      );
    }
    const known = this.#records.get(wish.name);
    if (known !== undefined) return this.#show(known);
    if (wish.name !== "" && !VOLUME_NAME.test(wish.name)) {
      return refuse("invalid-argument", `create ${wish.name}: ${badVolumeName(wish.name)}`);
    }
    const call = mountCall(wish.options);
    if (isRefusal(call)) return refuse(call.code, `create ${wish.name}: ${call.message}`);
    if (this.#records.size >= VOLUMES_MAX) {
      return refuse(
        "resource-exhausted",
        `there are ${VOLUMES_MAX} volumes already, which is the limit`,
      );
    }
    const name = wish.name || newLocalId(this.tools.random);
    const { labels, options } = wish;
    const record = {
      name,
      createdAtMs: this.tools.clock.nowMs(),
      labels: wish.name === "" ? { ...labels, [ANONYMOUS]: "" } : labels,
      options,
    };
    await this.tools.disk.create(record);
    this.#records.set(name, record);
    this.#tell("create", name);
    return this.#show(record);
  }

  async #remove(name: string): Promise<void> {
    await this.tools.disk.remove(name);
    this.#records.delete(name);
    this.#tell("destroy", name);
  }

  #usersOf(name: string): readonly string[] {
    const making = [...this.#making].filter(([, names]) => names.includes(name));
    return [...new Set([...this.tools.usersOf(name), ...making.map(([id]) => id)])];
  }

  #show(record: VolumeRecord): Volume {
    return {
      ...record,
      driver: "local",
      mountpoint: this.tools.disk.mountpoint(record.name),
      anonymous: isAnonymous(record),
    };
  }

  #tell(action: "create" | "destroy", name: string): void {
    const timeNs = BigInt(this.tools.clock.nowMs()) * NS_PER_MS;
    const attributes = { driver: "local" };
    this.tools.events.publish({
      type: "volume",
      action,
      id: name,
      attributes,
      scope: "local",
      timeNs,
    });
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => undefined);
    return done;
  }
}

function isAnonymous({ labels }: VolumeRecord): boolean {
  return Object.hasOwn(labels, ANONYMOUS);
}

function noSuchVolume(name: string): Refusal {
  return refuse("not-found", `get ${name}: no such volume`);
}

function noBindSource(source: string): Refusal {
  return refuse(
    "invalid-argument",
    `invalid mount config for type "bind": bind source path does not exist: ${source}`,
  );
}
