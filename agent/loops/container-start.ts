// From "created" to "running": addresses, sandbox, supervisor, command; or all of it undone.
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
import { hostsText } from "../task/hosts.js";
import type { EndpointRecord } from "../task/life.js";
import type { Runtime, Started, Supervised } from "../task/runtime.js";
import { hostnameOf } from "../task/spec.js";
import { couldNotAttach, shortId } from "../task/words.js";
import { type ContainerEntry, GIVEN_UP } from "./container-entry.js";
import type { Endpoints, Placing } from "./placing.js";
import type { Releases } from "./releases.js";

export interface StartTools {
  readonly endpoints: Endpoints;
  readonly placing: Placing;
  readonly releases: Releases;
  readonly runtime: Runtime;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** How long the kernel may take to get ready. */
  readonly readyMs: number;
}

// Docker's, for what failed before the command was even tried.
const EXIT_NOT_STARTED = 128;

export type StartOutcome =
  | { readonly kind: "running"; readonly supervised: Supervised }
  | { readonly kind: "failed"; readonly refusal: Refusal };

/** Ends with the container running, or with nothing of this life left but the reason. */
export async function startContainer(
  entry: ContainerEntry,
  tools: StartTools,
  abort: AbortSignal,
): Promise<StartOutcome> {
  const signal = AbortSignal.any([abort, AbortSignal.timeout(tools.readyMs)]);
  let supervised: Promise<Supervised> | undefined;
  let failure: Refusal;
  let exitCode = EXIT_NOT_STARTED;
  try {
    // On disk before anybody is asked: whatever happens now, the next agent knows what to give back.
    await entry.step({ kind: "prepare", endpoints: chooseEndpoints(entry, tools.random) });
    const { id, spec, life } = entry.record;
    const hostname = hostnameOf(id, spec);
    supervised = tools.runtime.prepare({ id, life, spec, hostname }, signal);
    // Its failure is met below; until then it must not count as unhandled.
    supervised.catch(() => undefined);
    const netns = spec.networkMode === "host" ? undefined : tools.placing.sandbox(id);
    entry.sandboxPath = netns ?? "";
    const refusal = await attachAll(entry, tools, hostname);
    if (refusal === undefined) {
      await awaitKernel(entry, tools, netns, signal);
      const shim = await supervised;
      await connectEarly(entry, shim);
      await entry.step({ kind: "launch" });
      signal.throwIfAborted();
      const hosts = hostsText(hostname, addressesOf(entry.record.endpoints));
      const started = await shim.go({ netns, hosts });
      if (started.kind === "running") {
        const { pid, atMs } = started;
        await entry.step({ kind: "ran", pid, atMs });
        return { kind: "running", supervised: shim };
      }
      exitCode = started.exitCode;
      failure = notStarted(started);
    } else failure = refusal;
  } catch (error) {
    tools.log.warn({ container: entry.record.id, ...faultFields(error) }, "start failed");
    failure = abort.aborted ? GIVEN_UP : refuse("unavailable", whyNot(error, signal));
  }
  await (await supervised?.catch(() => undefined))?.destroy();
  await giveUp(entry, tools, exitCode, failure.message);
  return { kind: "failed", refusal: failure };
}

/** Interfaces gone, then addresses given back, so that nobody else gets one that still answers here. */
export async function clearAway(entry: ContainerEntry, tools: StartTools): Promise<void> {
  const { id, endpoints, spec } = entry.record;
  const ids = endpoints.map((endpoint) => endpoint.id);
  try {
    await Promise.all(ids.map((endpointId) => tools.placing.disown(endpointId)));
    if (spec.networkMode !== "host") await tools.placing.dropSandbox(id);
  } catch (error) {
    // The reconcile goes on trying: nothing declares them any more.
    tools.log.warn({ container: id, err: messageOf(error) }, "sandbox not cleared away");
  }
  await tools.releases.add(ids);
  await entry.mustGoOn({ kind: "released" }, tools.log);
  await tools.runtime.forget(id);
}

async function giveUp(
  entry: ContainerEntry,
  tools: StartTools,
  exitCode: number,
  error: string,
): Promise<void> {
  if (entry.record.phase !== "preparing" && entry.record.phase !== "starting") return;
  await entry.mustGoOn({ kind: "ended", exitCode, error, atMs: tools.clock.nowMs() }, tools.log);
  await clearAway(entry, tools);
}

function chooseEndpoints(entry: ContainerEntry, random: Random): readonly EndpointRecord[] {
  return entry.record.spec.endpoints.map((wish, i) => ({
    id: newSwarmId(random),
    wish,
    interfaceName: `eth${i}`,
    given: undefined,
  }));
}

async function attachAll(
  entry: ContainerEntry,
  tools: StartTools,
  hostname: string,
): Promise<Refusal | undefined> {
  const { id, spec } = entry.record;
  for (const wanted of entry.record.endpoints) {
    const { network, aliases, ipv4, ipv6 } = wanted.wish;
    const asked = tools.endpoints.attach({
      endpointId: wanted.id,
      network,
      name: spec.name,
      aliases: [...aliases, shortId(id)],
      ownerId: id,
      hostname,
      ipv4,
      ipv6,
    });
    const answer = await asked.catch((error: unknown) => {
      tools.log.warn({ container: id, network, ...faultFields(error) }, "no manager answered");
      return refuse("unavailable", sentenceOf(error));
    });
    if (isRefusal(answer)) return couldNotAttach(network, answer);
    if (answer.endpoint === undefined || answer.network === undefined) {
      throw new Fault("ATTACH_ANSWER", { network });
    }
    const given = { endpoint: answer.endpoint, network: answer.network };
    await entry.step({ kind: "given", endpointId: wanted.id, ...given });
    const sandbox = { kind: "own", id } as const;
    const conflict = await tools.placing.conflict(answer.network, sandbox);
    if (conflict !== undefined) {
      return couldNotAttach(network, refuse("failed-precondition", conflict));
    }
    tools.placing.own(wanted.id, { sandbox, interfaceName: wanted.interfaceName });
  }
  return undefined;
}

async function awaitKernel(
  entry: ContainerEntry,
  tools: StartTools,
  netns: string | undefined,
  signal: AbortSignal,
): Promise<void> {
  const { id, endpoints } = entry.record;
  if (netns !== undefined) await tools.placing.sandboxReady(id, signal);
  await Promise.all(endpoints.map((endpoint) => tools.placing.ready(endpoint.id, signal)));
}

/** Before the command runs, so that its first word is heard. */
async function connectEarly(entry: ContainerEntry, shim: Supervised): Promise<void> {
  for (const [stream, options] of entry.takeEarly()) stream.become(await shim.attach(options));
}

function addressesOf(endpoints: readonly EndpointRecord[]): readonly string[] {
  return endpoints.flatMap(({ given }) =>
    given === undefined ? [] : [given.endpoint.ipv4, given.endpoint.ipv6],
  );
}

function notStarted(started: Extract<Started, { kind: "failed" }>): Refusal {
  // Docker's CLI reads the exit code of `docker run` out of these words.
  return refuse("invalid-argument", `failed to start the container's process: ${started.message}`);
}

function whyNot(error: unknown, signal: AbortSignal): string {
  return signal.aborted && !(error instanceof Fault)
    ? "the container's network was not ready in time"
    : sentenceOf(error);
}
