// Layers unpacked into containerd's snapshots, each named by its chain id, so that images share them with
// each other and with whoever else uses this containerd namespace.
import { randomBytes } from "node:crypto";
import { Refused, refuse } from "../../common/fault.js";
import {
  alreadyExists,
  type Containerd,
  isNotFound,
  SNAPSHOTTER,
} from "../containerd/connection.js";
import { chainIdOf } from "../oci/digest.js";
import type { Descriptor } from "../oci/manifest.js";

export interface Layer {
  readonly descriptor: Descriptor;
  readonly diffId: string;
}

// What is committed does not change, so its size is asked once. Choice: a few numbers for each.
const SIZES_MAX = 10_000;

export class Snapshots {
  readonly #sizes = new Map<string, number>();

  constructor(private readonly containerd: Containerd) {}

  async has(chainId: string): Promise<boolean> {
    const { snapshots } = this.containerd;
    const request = { snapshotter: SNAPSHOTTER, key: chainId };
    try {
      await this.containerd.call(snapshots.stat.bind(snapshots), request);
      return true;
    } catch (error) {
      if (isNotFound(error)) return false;
      throw error;
    }
  }

  /** Unpacks what is not unpacked yet, base first; `onLayer` hears of each that is there. */
  async unpack(
    layers: readonly Layer[],
    lease: string,
    signal: AbortSignal | undefined,
    onLayer: (index: number, stage: "extracting" | "done") => void = () => undefined,
  ): Promise<void> {
    let parent = "";
    for (const [index, layer] of layers.entries()) {
      const chainId = chainIdOf(layers.slice(0, index + 1).map(({ diffId }) => diffId));
      if (!(await this.keep(chainId, lease))) {
        onLayer(index, "extracting");
        await this.#unpackOne(layer, index, parent, chainId, lease, signal);
      }
      onLayer(index, "done");
      parent = chainId;
    }
  }

  /** Whether it is there; if so the lease holds it, as its garbage may be about to be collected. */
  async keep(chainId: string, lease: string): Promise<boolean> {
    const { leases } = this.containerd;
    if (!(await this.has(chainId))) return false;
    const resource = { id: chainId, type: `snapshots/${SNAPSHOTTER}` };
    await this.containerd.call(leases.addResource.bind(leases), { id: lease, resource });
    return this.has(chainId);
  }

  async #unpackOne(
    { descriptor, diffId }: Layer,
    index: number,
    parent: string,
    chainId: string,
    lease: string,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { snapshots, diff } = this.containerd;
    const snapshotter = SNAPSHOTTER;
    const key = `extract-${randomBytes(8).toString("hex")} ${chainId}`;
    // Unpacking a large layer onto a slow disk takes minutes; it is ended by the signal alone.
    const options = { lease, signal, timeoutMs: 0 };
    const prepare = snapshots.prepare.bind(snapshots);
    const { mounts } = await this.containerd.call(
      prepare,
      { snapshotter, key, parent, labels: {} },
      options,
    );
    try {
      const { applied } = await this.containerd.call(
        diff.apply.bind(diff),
        { diff: { ...descriptor, annotations: {} }, mounts, payloads: {} },
        options,
      );
      if (applied?.digest !== diffId) {
        const sentence = `invalid diffID for layer ${index}: expected "${diffId}", got "${applied?.digest}"`;
        throw new Refused(refuse("invalid-argument", sentence));
      }
      const commit = { snapshotter, name: chainId, key, labels: {} };
      await this.containerd.call(snapshots.commit.bind(snapshots), commit, options);
    } catch (error) {
      await this.containerd
        .call(snapshots.remove.bind(snapshots), { snapshotter, key })
        .catch(() => undefined);
      // Another pull unpacked the same meanwhile.
      if (!alreadyExists(error)) throw error;
    }
  }

  /** Of one layer's own files, on disk; 0 when it is not unpacked. */
  async sizeOf(chainId: string): Promise<number> {
    const known = this.#sizes.get(chainId);
    if (known !== undefined) return known;
    const { snapshots } = this.containerd;
    try {
      const request = { snapshotter: SNAPSHOTTER, key: chainId };
      const { size } = await this.containerd.call(snapshots.usage.bind(snapshots), request);
      if (this.#sizes.size >= SIZES_MAX) this.#sizes.clear();
      this.#sizes.set(chainId, size);
      return size;
    } catch (error) {
      if (isNotFound(error)) return 0;
      throw error;
    }
  }
}
