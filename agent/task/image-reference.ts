// Just enough of an image's reference to say what a task's container is made of.

/** "alpine" → "alpine:latest"; what has a tag or a digest, or is an image's id, stays as it is. */
export function withTag(reference: string): string {
  if (isImageId(reference) || isPinned(reference)) return reference;
  const name = reference.slice(reference.lastIndexOf("/") + 1);
  return name.includes(":") ? reference : `${reference}:latest`;
}

/** It names one very image, whatever becomes of its tag. */
export function isPinned(reference: string): boolean {
  return /@sha256:[0-9a-f]{64}$/.test(reference);
}

export function isImageId(reference: string): boolean {
  return /^(sha256:)?[0-9a-f]{64}$/.test(reference);
}
