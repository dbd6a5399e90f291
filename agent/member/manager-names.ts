// What managers are called towards a person: by hostname, as far as that is known.
import type { ManagerReport } from "../../proto/gen/admin.js";

export function nameOf({ hostname, member }: ManagerReport): string {
  return hostname || member?.nodeId || "a manager without a name";
}

export function nameIn(managers: readonly ManagerReport[], raftId: number): string {
  const found = managers.find(({ member }) => member?.raftId === raftId);
  return found === undefined ? "a manager that is gone" : nameOf(found);
}
