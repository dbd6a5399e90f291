// What a volume may be called.

// Docker's RestrictedNamePattern, anchored; the name becomes a folder's.
export const VOLUME_NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{1,254}$/;

export function badVolumeName(name: string): string {
  if (name.length === 1) {
    return "volume name is too short, names should be at least two alphanumeric characters";
  }
  return (
    `"${name}" includes invalid characters for a local volume name, ` +
    `only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`
  );
}
