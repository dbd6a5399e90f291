// What containers take on the disk. Counting costs a walk over their files, so only who asks waits for it.
import { isRefusal } from "../../common/fault.js";
import type { Container } from "../seams.js";
import type { Call } from "./call.js";

export interface ContainerSize {
  /** Written by itself. */
  readonly writtenBytes: number;
  /** With its image. */
  readonly allBytes: number;
}

/** One after another: a machine with a hundred containers has other things to do as well. */
export async function sizesOf(
  call: Call,
  containers: readonly Container[],
): Promise<readonly ContainerSize[]> {
  const images = await call.node.images.list();
  const bytes = new Map(images.map(({ id, sizeBytes }) => [id, sizeBytes]));
  const sizes: ContainerSize[] = [];
  for (const { id, imageId } of containers) {
    const found = await call.node.containers.writtenBytes(id);
    const writtenBytes = isRefusal(found) ? 0 : found;
    sizes.push({ writtenBytes, allBytes: writtenBytes + (bytes.get(imageId) ?? 0) });
  }
  return sizes;
}

export function written(sizes: readonly ContainerSize[]): number {
  return sizes.reduce((sum, { writtenBytes }) => sum + writtenBytes, 0);
}

/** SizeRw, which is left out when it is nothing, and SizeRootFs. */
export function sizeJson(size: ContainerSize | undefined): object {
  if (size === undefined) return {};
  const { writtenBytes, allBytes } = size;
  return {
    ...(writtenBytes > 0 ? { SizeRw: writtenBytes } : {}),
    ...(allBytes > 0 ? { SizeRootFs: allBytes } : {}),
  };
}
