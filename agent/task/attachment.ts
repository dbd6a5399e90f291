// Attachments, as far as nothing has to be asked for: where a wish leads, what is wrong with it, which one is meant.
import { type Refusal, refuse } from "../../common/fault.js";
import type { SandboxRef } from "../reconcile/want.js";
import type { AttachWish, NodeEvent } from "../seams.js";
import { hostInterfaceName, isInterfaceName, sandboxInterfaceName } from "./interface-name.js";
import type { AttachmentRecord, NamespaceLook } from "./keeping.js";
import { findByReference } from "./reference.js";
import { isContainerName } from "./spec.js";
import { badName } from "./words.js";

// iproute2's (NETNS_RUN_DIR), which everybody uses.
const NAMED_NAMESPACES = "/run/netns";

/** The namespace's file; undefined: the machine's own. */
export function pathOf(wish: AttachWish): string | undefined {
  if (wish.netns === "") return undefined;
  return wish.netns.startsWith("/") ? wish.netns : `${NAMED_NAMESPACES}/${wish.netns}`;
}

export function sandboxOf(wish: AttachWish): SandboxRef {
  const path = pathOf(wish);
  return path === undefined ? { kind: "host" } : { kind: "foreign", path };
}

export function chooseInterface(
  { kind }: SandboxRef,
  network: string,
  taken: ReadonlySet<string>,
): string {
  return kind === "host" ? hostInterfaceName(network, taken) : sandboxInterfaceName(taken);
}

/** What is wrong with the words of it. `isTaken`: of names of attachments. */
export function refuseWish(
  wish: AttachWish,
  isTaken: (name: string) => boolean,
): Refusal | undefined {
  const { network, name, interfaceName, netns } = wish;
  if (network === "host" || network === "none") {
    const sentence = `network ${network} is not one of the swarm: nothing can be attached to it`;
    return refuse("invalid-argument", sentence);
  }
  if (name !== "" && !isContainerName(name)) return badName(name);
  if (name !== "" && isTaken(name)) {
    return refuse("already-exists", `attachment ${name} is there already`);
  }
  if (interfaceName !== "" && !isInterfaceName(interfaceName)) {
    return refuse(
      "invalid-argument",
      `invalid interface name "${interfaceName}": 1 to 15 characters without space, "/", ":" and "%"`,
    );
  }
  if (!netns.startsWith("/") && (netns.includes("/") || netns.startsWith("."))) {
    return refuse(
      "invalid-argument",
      `invalid network namespace "${netns}": give a name under ${NAMED_NAMESPACES} or an absolute path`,
    );
  }
  return undefined;
}

/** What is wrong with what was found at the path that the wish names. */
export function refuseNamespace(
  netns: string,
  path: string,
  seen: NamespaceLook,
): Refusal | undefined {
  if (seen.kind === "missing") {
    return refuse("not-found", `network namespace ${netns} not found (no file ${path})`);
  }
  if (seen.kind === "other") {
    return refuse("invalid-argument", `${path} is not a network namespace: ${seen.why}`);
  }
  if (!seen.isOwn) return undefined;
  return refuse(
    "invalid-argument",
    `${path} is the machine's own network namespace; attach the machine itself by naming none`,
  );
}

/** By id, its beginning, name, or the network's name or id when only one is on it. Only those that were given. */
export function findAttachment(
  records: Iterable<AttachmentRecord>,
  ref: string,
): AttachmentRecord | Refusal {
  const all = [...records].filter(({ given }) => given !== undefined);
  const found = findByReference(
    all,
    ref,
    ({ id }) => id,
    ({ wish }) => wish.name,
  );
  if (found.kind === "one") return found.item;
  const isOn = ({ given }: AttachmentRecord) =>
    given?.network.id === ref || given?.network.spec?.name === ref;
  const [only, ...more] = found.kind === "none" ? all.filter(isOn) : [];
  if (only !== undefined && more.length === 0) return only;
  return found.kind === "several" || more.length > 0
    ? refuse("invalid-argument", `"${ref}" means more than one attachment: name one by its id`)
    : refuse("not-found", `No such attachment: ${ref}`);
}

/** What clients that follow events are told; nothing of one that was not given. */
export function attachmentEvents(
  action: "create" | "remove",
  { given, wish, id }: AttachmentRecord,
  nowMs: number,
): readonly NodeEvent[] {
  if (given === undefined) return [];
  const { endpoint, network } = given;
  const name = network.spec?.name ?? "";
  const common = { scope: "local", timeNs: BigInt(nowMs) * 1_000_000n } as const;
  return [
    {
      type: "attachment",
      action,
      id,
      attributes: { name: endpoint.name, network: name, netns: wish.netns, ipv4: endpoint.ipv4 },
      ...common,
    },
    {
      type: "network",
      action: action === "create" ? "connect" : "disconnect",
      id: network.id,
      attributes: { container: id, name, type: network.spec?.driver || "overlay" },
      ...common,
    },
  ];
}
