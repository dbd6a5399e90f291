// Endpoints that people put on this machine itself, or into namespaces that somebody else made. What
// was asked for stays until it is detached: through restarts, and while its namespace is away.
import type { Clock } from "../../common/clock.js";
import {
  Fault,
  faultFields,
  isRefusal,
  messageOf,
  type Refusal,
  refuse,
} from "../../common/fault.js";
import { newSwarmId } from "../../common/ids.js";
import type { Logger } from "../../common/log.js";
import type { Random } from "../../common/random.js";
import { sentenceOf } from "../member/fault-sentence.js";
import { isSameSandbox } from "../reconcile/names.js";
import type { SandboxRef } from "../reconcile/want.js";
import type { Attachment, Attachments, AttachWish } from "../seams.js";
import {
  attachmentEvents,
  chooseInterface,
  findAttachment,
  pathOf,
  refuseNamespace,
  refuseWish,
  sandboxOf,
} from "../task/attachment.js";
import { hostInterfaceName } from "../task/interface-name.js";
import type { AttachmentDisk, AttachmentRecord, LookAtNamespace } from "../task/keeping.js";
import { couldNotAttach } from "../task/words.js";
import { ATTACHMENTS_MAX, tooMany } from "./containers-limits.js";
import type { Endpoints, EventPublisher, Placing } from "./placing.js";
import type { Releases } from "./releases.js";

export interface AttachmentTools {
  readonly endpoints: Endpoints;
  readonly placing: Placing;
  readonly releases: Releases;
  readonly disk: AttachmentDisk;
  readonly look: LookAtNamespace;
  readonly events: EventPublisher;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly hostname: string;
  readonly readyMs: number;
}

// Choice: how soon a namespace that went away or came back is noticed.
const LOOK_EVERY_MS = 1_000;

export class AttachmentLoop implements Attachments {
  readonly #records = new Map<string, AttachmentRecord>();
  readonly #inodes = new Map<string, string>();
  /** One choice at a time: interface names are chosen by looking at those that are taken. */
  #turn: Promise<unknown> = Promise.resolve();
  #saving: Promise<void> = Promise.resolve();
  #savingNext: Promise<void> | undefined;
  /** The file still names what is gone; it is written again at the next look. */
  #unsaved = false;
  #stopLooking: () => void = () => undefined;

  constructor(private readonly tools: AttachmentTools) {}

  // ---- What agent.ts calls ---------------------------------------------------------------------

  /** Declares the places of what the agent before had. To be called once, first. */
  async restore(): Promise<void> {
    const unfinished: string[] = [];
    for (const record of await this.tools.disk.load()) {
      // Never given, or being detached when the agent before was killed. Those who asked are gone, and
      // were told nothing: the one is as if it had not been asked, the other goes on.
      const isWhole = record.given !== undefined && !this.tools.releases.has(record.id);
      if (isWhole) this.#records.set(record.id, record);
      else unfinished.push(record.id);
    }
    for (const record of this.#records.values()) this.#declare(record);
    if (unfinished.length > 0) {
      await this.tools.releases.note(unfinished);
      await this.#save();
      await this.tools.releases.add(unfinished);
    }
    this.#stopLooking = this.tools.clock.every(LOOK_EVERY_MS, () => this.#lookAll());
  }

  async close(): Promise<void> {
    this.#stopLooking();
    await this.#turn;
    await this.#saving;
  }

  /** The node left the swarm: every attachment is gone. */
  clear(): Promise<void> {
    return this.#inTurn(async () => {
      for (const record of [...this.#records.values()]) {
        await this.tools.placing.disown(record.id);
        this.#forget(record);
        this.#publish("remove", record);
      }
      await this.#save();
    });
  }

  /** As `ContainerLoop.told`. */
  told(revision: number, endpointIds: ReadonlySet<string>): Promise<void> {
    return this.#inTurn(async () => {
      for (const record of this.#records.values()) {
        const madeAt = record.given?.endpoint.meta?.createdVersion ?? Number.POSITIVE_INFINITY;
        const isKnown = madeAt > revision || endpointIds.has(record.id);
        const trouble = isKnown ? "" : "the swarm took this address back; detach and attach again";
        if (trouble === record.trouble) continue;
        this.#records.set(record.id, { ...record, trouble });
        await this.#save();
      }
    });
  }

  // ---- Attachments -----------------------------------------------------------------------------

  list(): readonly Attachment[] {
    return [...this.#records.values()].flatMap((record) => this.#show(record) ?? []);
  }

  async attach(wish: AttachWish): Promise<Attachment | Refusal> {
    const record = await this.#inTurn(() => this.#begin(wish));
    return isRefusal(record) ? record : this.#carryOut(record);
  }

  detach(ref: string): Promise<Refusal | undefined> {
    return this.#inTurn(async () => {
      const record = findAttachment(this.#records.values(), ref);
      if (isRefusal(record)) return record;
      await this.#takeDown(record);
      this.#publish("remove", record);
      return undefined;
    });
  }

  // ---- Inside ----------------------------------------------------------------------------------

  async #begin(wish: AttachWish): Promise<AttachmentRecord | Refusal> {
    const { tools } = this;
    if (this.#records.size >= ATTACHMENTS_MAX) return tooMany("attachments", ATTACHMENTS_MAX);
    const wrong = this.#checkWish(wish);
    if (wrong) return wrong;
    const sandbox = sandboxOf(wish);
    const taken = await this.#takenNames(sandbox);
    if (isRefusal(taken)) return taken;
    if (wish.interfaceName !== "" && taken.has(wish.interfaceName)) {
      return refuse("already-exists", `interface ${wish.interfaceName} is there already`);
    }
    const id = newSwarmId(tools.random);
    const record: AttachmentRecord = {
      id,
      wish,
      interfaceName: wish.interfaceName || chooseInterface(sandbox, wish.network, taken),
      createdAtMs: tools.clock.nowMs(),
      given: undefined,
      trouble: "",
    };
    this.#records.set(id, record);
    return record;
  }

  async #carryOut(record: AttachmentRecord): Promise<Attachment | Refusal> {
    const { tools } = this;
    const { id, wish } = record;
    const sandbox = sandboxOf(wish);
    try {
      // On disk before anybody is asked, so that nothing that is given can be forgotten.
      await this.#save();
      const given = await this.#ask(record, sandbox);
      if (isRefusal(given)) {
        await this.#takeDown(record);
        return given;
      }
      const whole = { ...record, ...given };
      this.#records.set(id, whole);
      await this.#save();
      this.#declare(whole);
      await tools.placing.ready(id, AbortSignal.timeout(tools.readyMs));
      this.#publish("create", whole);
      const shown = this.#show(whole);
      if (shown === undefined) throw new Fault("ATTACHMENT_LOST", { endpoint: id });
      return shown;
    } catch (error) {
      tools.log.warn({ endpoint: id, ...faultFields(error) }, "attach failed");
      await this.#takeDown(record);
      return refuse("unavailable", `Could not attach to network ${wish.network}: ${whyNot(error)}`);
    }
  }

  /** Interface name and what was given; the name is made anew once the network's real name is known. */
  async #ask(
    record: AttachmentRecord,
    sandbox: SandboxRef,
  ): Promise<Pick<AttachmentRecord, "given" | "interfaceName"> | Refusal> {
    const { wish, id } = record;
    const { hostname, endpoints, placing } = this.tools;
    const answer = await endpoints.attach({
      endpointId: id,
      network: wish.network,
      name: wish.name || this.#defaultName(wish),
      aliases: [...wish.aliases],
      ownerId: id,
      hostname,
      ipv4: wish.ipv4,
      ipv6: wish.ipv6,
    });
    if (isRefusal(answer)) return couldNotAttach(wish.network, answer);
    const { endpoint, network } = answer;
    if (endpoint === undefined || network === undefined) {
      throw new Fault("ATTACH_ANSWER", { network: wish.network });
    }
    const conflict = await placing.conflict(network, sandbox);
    if (conflict !== undefined) {
      return couldNotAttach(wish.network, refuse("failed-precondition", conflict));
    }
    let { interfaceName } = record;
    const realName = network.spec?.name ?? wish.network;
    if (wish.interfaceName === "" && sandbox.kind === "host" && realName !== wish.network) {
      const taken = await this.#takenNames(sandbox);
      if (isRefusal(taken)) return taken;
      interfaceName = hostInterfaceName(realName, taken);
    }
    return { given: { endpoint, network }, interfaceName };
  }

  async #takeDown(record: AttachmentRecord): Promise<void> {
    try {
      await this.tools.placing.disown(record.id);
    } catch (error) {
      // The reconcile goes on trying: nothing declares it any more.
      this.tools.log.warn({ endpoint: record.id, err: messageOf(error) }, "not taken down");
    }
    // In this order: were the agent killed in between, the next one would find it in the note, in both, or
    // only in the note, and give it back. The swarm has it no more only when nothing here names it.
    await this.tools.releases.note([record.id]);
    this.#forget(record);
    // On a full disk too: giving back is what a person then wants. The file follows when there is space.
    await this.#save().catch((error: unknown) => {
      this.#unsaved = true;
      this.tools.log.warn({ endpoint: record.id, err: messageOf(error) }, "attachments not saved");
    });
    await this.tools.releases.add([record.id]);
  }

  #declare(record: AttachmentRecord): void {
    const { interfaceName, wish, id } = record;
    this.tools.placing.own(id, { sandbox: sandboxOf(wish), interfaceName });
    const path = pathOf(wish);
    const seen = path === undefined ? undefined : this.tools.look(path);
    if (seen?.kind === "namespace") this.#inodes.set(id, seen.inode);
  }

  /** A namespace that came back, or another one of the same name, gets its interface again. */
  #lookAll(): void {
    if (this.#unsaved) {
      this.#unsaved = false;
      this.#save().catch(() => {
        this.#unsaved = true;
      });
    }
    for (const record of this.#records.values()) {
      const path = pathOf(record.wish);
      if (path === undefined || record.given === undefined) continue;
      const seen = this.tools.look(path);
      const inode = seen.kind === "namespace" ? seen.inode : "";
      if (inode === (this.#inodes.get(record.id) ?? "")) continue;
      this.#inodes.set(record.id, inode);
      this.tools.log.info({ endpoint: record.id, there: inode !== "" }, "namespace changed");
      this.#declare(record);
    }
  }

  #checkWish(wish: AttachWish): Refusal | undefined {
    const names = new Set([...this.#records.values()].map((other) => other.wish.name));
    const wrong = refuseWish(wish, (name) => names.has(name));
    const path = pathOf(wish);
    if (wrong !== undefined || path === undefined) return wrong;
    return refuseNamespace(wish.netns, path, this.tools.look(path));
  }

  /** What is there, and what is promised to other attachments of the same place. */
  async #takenNames(sandbox: SandboxRef): Promise<Set<string> | Refusal> {
    const there = await this.tools.placing.interfaceNames(sandbox);
    if (there === undefined) return refuse("not-found", "the network namespace is gone");
    const names = new Set(there);
    for (const { wish, interfaceName } of this.#records.values()) {
      if (isSameSandbox(sandboxOf(wish), sandbox)) names.add(interfaceName);
    }
    return names;
  }

  #show(record: AttachmentRecord): Attachment | undefined {
    const { id, wish, interfaceName, createdAtMs, given } = record;
    if (given === undefined) return undefined;
    return { id, wish, interfaceName, createdAtMs, ...given, problem: this.#problemOf(record) };
  }

  #problemOf(record: AttachmentRecord): string {
    if (record.trouble !== "") return record.trouble;
    const path = pathOf(record.wish);
    if (path !== undefined && this.tools.look(path).kind !== "namespace") {
      return `network namespace ${record.wish.netns} is gone`;
    }
    return this.tools.placing.problem(record.id) ?? "";
  }

  #forget(record: AttachmentRecord): void {
    this.#records.delete(record.id);
    this.#inodes.delete(record.id);
  }

  /** Many who save at once share one write, which begins after the one that is under way. */
  #save(): Promise<void> {
    this.#savingNext ??= this.#saving.then(() => {
      this.#savingNext = undefined;
      const saved = this.tools.disk.save([...this.#records.values()]);
      this.#saving = saved.catch(() => undefined);
      return saved;
    });
    return this.#savingNext;
  }

  #defaultName(wish: AttachWish): string {
    return wish.netns === "" ? this.tools.hostname : (wish.netns.split("/").at(-1) ?? "");
  }

  #publish(action: "create" | "remove", record: AttachmentRecord): void {
    for (const event of attachmentEvents(action, record, this.tools.clock.nowMs()))
      this.tools.events.publish(event);
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => undefined);
    return done;
  }
}

// The only deadline in an attach is that of the kernel's part.
function whyNot(error: unknown): string {
  const isLate = error instanceof Error && error.name === "TimeoutError";
  return isLate
    ? "its interface was not ready in time; the agent's log says more"
    : sentenceOf(error);
}
