// People who read and write through the API of every manager of a lab, each one thing at a time, and write down when they
// asked and what they were told. Keys are a round's own: what a call without an answer does late is not mixed up with them.
import { setTimeout as sleep } from "node:timers/promises";
import type { Answered, Asked, Call } from "../sim/swarm/registers.js";
import type { Lab } from "./lab.js";
import { type ApiAnswer, callApi } from "./local-api.js";

const CONFIGS = ["a", "b"];
const NETWORKS = ["red", "green"];
// Choice: who waits longer than this has given up, and asks for something else.
const PATIENCE_MS = 4_000;
const PAUSE_MS = 30;
// Longer than an agent and a manager go on for somebody who has given up.
const ASKED_AGAIN_MS = 20_000;
// Or the agent was not there to be asked.
const NOT_DONE = /The swarm does not have a leader|ECONNREFUSED|ENOENT/;
const OUT_OF_SEQUENCE = /update out of sequence/;

interface Held {
  readonly ID: string;
  readonly Version: { readonly Index: number };
  readonly Spec: { readonly Name?: string; readonly Labels?: Readonly<Record<string, string>> };
}
interface Network {
  readonly Id: string;
  readonly Name: string;
}

/** What became of it: an answer; "never": it was not done; undefined: nobody knows. */
type Outcome = Answered | "never" | undefined;

export class HistoryClients {
  readonly #calls: Call[] = [];
  /** What was answered how often, by what was asked. */
  readonly counts = new Map<string, number>();
  readonly #configs = new Map<string, string>();
  readonly #networks = new Map<string, string>();
  /** Networks whose makers were answered. */
  readonly #told = new Set<string>();
  /** What is being made, and until when it may be. */
  #creates: readonly { readonly name: string; readonly endMs: number }[] = [];
  readonly #stop = new AbortController();
  #running: readonly Promise<void>[] = [];
  #made = 0;

  constructor(
    readonly lab: Lab,
    readonly round: number,
    readonly random: (below: number) => number,
  ) {}

  get history(): readonly Call[] {
    return this.#calls;
  }
  /** Reads and writes that were answered. */
  get answered(): number {
    return this.#calls.filter(({ returned }) => returned !== undefined).length;
  }

  /** The configs of this round, whose labels they change. */
  async prepare(): Promise<void> {
    const socket = this.lab.socket(this.lab.hosts[0]?.name ?? "");
    for (const name of CONFIGS) {
      const body = { Name: this.#name(name), Data: "aGlzdG9yeQ==", Labels: {} };
      const { status, body: text } = await callApi(socket, "POST", "/configs/create", body);
      if (status !== 201) throw new Error(`${status} ${text}`);
      this.#configs.set((JSON.parse(text) as { ID: string }).ID, name);
    }
  }

  /** `count` of them on every host. */
  start(count: number): void {
    this.#running = this.lab.hosts.flatMap(({ name }) =>
      Array.from({ length: count }, () => this.#use(name)),
    );
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#running);
  }

  /** Everything, once more, by every manager; whether all were answered. */
  async readAll(): Promise<boolean> {
    for (const { name } of this.lab.hosts) {
      const nodes = await this.#listNodes(name);
      const configs = await this.#listConfigs(name);
      const networks = await this.#listNetworks(name);
      if (!nodes || !configs || !networks) return false;
    }
    return true;
  }

  async #use(host: string): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const jobs = [
        () => this.#listNodes(host),
        () => this.#label(host),
        () => this.#listConfigs(host),
        () => this.#swap(host),
        () => this.#swap(host),
        () => this.#listNetworks(host),
        () => this.#findNetwork(host),
        () => this.#createNetwork(host),
        () => this.#removeNetwork(host),
      ];
      await jobs[this.random(jobs.length)]?.();
      await sleep(this.random(PAUSE_MS));
    }
  }

  // ---- Node labels, as `node update --label-add` -----------------------------------------------------

  async #listNodes(host: string): Promise<unknown> {
    const nodes = await this.#read<readonly Held[]>(host, "/nodes", (each) =>
      each.map((node) => [`node ${node.ID}`, this.#labelOf(node)]),
    );
    this.#nodes = nodes?.map(({ ID }) => ID) ?? this.#nodes;
    return nodes;
  }
  #nodes: readonly string[] = [];

  async #label(host: string): Promise<unknown> {
    const id = this.#one(this.#nodes);
    if (id === undefined) return this.#listNodes(host);
    const node = await this.#read<Held>(host, `/nodes/${id}`, (each) => [
      [`node ${id}`, this.#labelOf(each)],
    ]);
    if (node === undefined) return;
    const value = this.#value();
    // Without the labels of rounds before.
    const spec = { ...node.Spec, Labels: { [this.#name("label")]: value } };
    const path = `/nodes/${id}/update?version=${node.Version.Index}`;
    await this.#write(`node ${id}`, { kind: "set", value }, host, ["POST", path, spec], (answer) =>
      answer.status === 200 ? done(value) : OUT_OF_SEQUENCE.test(answer.body) ? "never" : undefined,
    );
  }

  #labelOf({ Spec }: Held): string {
    return Spec.Labels?.[this.#name("label")] ?? "";
  }

  // ---- Configs' labels: read, and written by the version that was read ----------------------------------

  #listConfigs(host: string): Promise<unknown> {
    return this.#read<readonly Held[]>(host, "/configs", (each) =>
      each.flatMap((held) => {
        const name = this.#configs.get(held.ID);
        return name === undefined ? [] : [[`config ${name}`, this.#labelOf(held)] as const];
      }),
    );
  }

  async #swap(host: string): Promise<void> {
    const [id, name] = this.#one([...this.#configs]) ?? ["", ""];
    const config = await this.#read<Held>(host, `/configs/${id}`, (each) => [
      [`config ${name}`, this.#labelOf(each)],
    ]);
    if (config === undefined) return;
    // Others may come in between.
    await sleep(this.random(PAUSE_MS));
    const value = this.#value();
    const spec = { ...config.Spec, Labels: { [this.#name("label")]: value } };
    const path = `/configs/${id}/update?version=${config.Version.Index}`;
    const asked: Asked = { kind: "swap", from: this.#labelOf(config), value };
    await this.#write(`config ${name}`, asked, host, ["POST", path, spec], (answer) => {
      if (answer.status === 200) return done(value);
      return OUT_OF_SEQUENCE.test(answer.body) ? { kind: "exists" } : undefined;
    });
  }

  // ---- Names of networks -----------------------------------------------------------------------------------

  #listNetworks(host: string): Promise<unknown> {
    return this.#read<readonly Network[]>(host, "/networks", (each) =>
      NETWORKS.map((name) => {
        const id = each.find(({ Name }) => Name === this.#name(name))?.Id ?? "";
        if (id !== "") this.#networks.set(id, name);
        return [`network ${name}`, id];
      }),
    );
  }

  #findNetwork(host: string): Promise<unknown> {
    const name = this.#one(NETWORKS) ?? "";
    const path = `/networks/${this.#name(name)}`;
    return this.#read<Network | undefined>(host, path, (network) => [
      [`network ${name}`, network?.Id ?? ""],
    ]);
  }

  async #createNetwork(host: string): Promise<void> {
    const name = this.#one(NETWORKS) ?? "";
    const body = { Name: this.#name(name), Driver: "overlay" };
    const request: Request = ["POST", "/networks/create", body];
    const open = { name, endMs: Number.POSITIVE_INFINITY };
    this.#creates = [...this.#creates.filter(({ endMs }) => endMs > performance.now()), open];
    await this.#write(`network ${name}`, { kind: "create" }, host, request, (answer) => {
      const isGivenUp = answer.status === 0 && !NOT_DONE.test(answer.body);
      open.endMs = performance.now() + (isGivenUp ? ASKED_AGAIN_MS : 0);
      if (answer.status === 409) return { kind: "exists" };
      if (answer.status !== 201) return undefined;
      const { Id } = JSON.parse(answer.body) as Network;
      this.#networks.set(Id, name);
      this.#told.add(Id);
      return done(Id);
    });
  }

  async #removeNetwork(host: string): Promise<void> {
    // What may still be asked for again would be made again (docs/consensus.md, "What is promised").
    const [id, name] = this.#one([...this.#networks].slice(-2)) ?? ["", ""];
    const isOpen = this.#creates.some(
      (each) => each.name === name && each.endMs > performance.now(),
    );
    if (id === "" || (isOpen && !this.#told.has(id))) return;
    const request: Request = ["DELETE", `/networks/${id}`, undefined];
    await this.#write(`network ${name}`, { kind: "remove", id }, host, request, (answer) => {
      if (answer.status === 404) return { kind: "absent" };
      return answer.status === 204 ? done("") : undefined;
    });
  }

  // ---- Asking, and writing down ---------------------------------------------------------------------------

  /** Undefined unless it was answered. One answer of several registers saw all of them at one moment, and so each. */
  async #read<T>(
    host: string,
    path: string,
    values: (body: T) => readonly (readonly [string, string])[],
  ): Promise<T | undefined> {
    const calledAt = performance.now();
    const { status, body } = await this.#ask(host, ["GET", path, undefined]);
    const at = performance.now();
    const isAbsent = status === 404 && /not found/.test(body);
    if (status !== 200 && !isAbsent) return undefined;
    const read = isAbsent ? undefined : (JSON.parse(body) as T);
    for (const [key, value] of values(read as T)) {
      const returned = { at, output: done(value) };
      this.#calls.push({ key, input: { kind: "read" }, calledAt, returned });
    }
    return read;
  }

  async #write(
    key: string,
    input: Asked,
    host: string,
    request: Request,
    outcomeOf: (answer: ApiAnswer) => Outcome,
  ): Promise<void> {
    const calledAt = performance.now();
    const answer = await this.#ask(host, request);
    const at = performance.now();
    // Whoever is told that, and nothing of a change that may have been made, may rely on it.
    const told = outcomeOf(answer);
    const output = NOT_DONE.test(answer.body) ? "never" : told;
    if (output === "never") return;
    const returned = output === undefined ? undefined : { at, output };
    this.#calls.push({ key, input, calledAt, returned });
  }

  async #ask(host: string, [method, path, body]: Request): Promise<ApiAnswer> {
    const answer = await callApi(this.lab.socket(host), method, path, body, PATIENCE_MS);
    const words = answer.status < 400 && answer.status > 0 ? "" : answer.body.slice(0, 120).trim();
    const count = `${method} ${path.split("/")[1]}: ${answer.status} ${words}`;
    this.counts.set(count, (this.counts.get(count) ?? 0) + 1);
    return answer;
  }

  #name(name: string): string {
    return `${name}-${this.round}`;
  }
  #value(): string {
    return `v${++this.#made}`;
  }
  #one<T>(from: readonly T[]): T | undefined {
    return from[this.random(Math.max(1, from.length))];
  }
}

type Request = readonly [method: string, path: string, body: object | undefined];

function done(value: string): Answered {
  return { kind: "done", value };
}
