// From "created" to "running": addresses, sandbox, supervisor, command; or all of it undone.
import {
  Fault,
  faultFields,
  isRefusal,
  messageOf,
  type Refusal,
  refuse,
} from "../../common/fault.js";
import { sentenceOf } from "../member/fault-sentence.js";
import type { ContainerFile, ContainerSpec } from "../seams.js";
import { hostsText } from "../task/hosts.js";
import { type EndpointRecord, isAttached } from "../task/life.js";
import { resolvConfText } from "../task/resolv-conf.js";
import type { Runtime, Started, Supervised } from "../task/runtime.js";
import { hasOwnSandbox, hostnameOf } from "../task/spec.js";
import { cannotShare, NO_CONTAINERD } from "../task/words.js";
import { type ContainerEntry, GIVEN_UP } from "./container-entry.js";
import { chooseEndpoints, joinAll, leave, type NetworkTools } from "./container-networks.js";
import type { ContainerVolumes } from "./placing.js";

/** One of each kind; undefined: this node has no containerd. */
export interface Runtimes {
  readonly process: Runtime;
  readonly containerd: Runtime | undefined;
}

export interface StartTools extends NetworkTools {
  readonly runtimes: Runtimes;
  readonly volumes: ContainerVolumes;
  /** The text of the machine's own /etc/resolv.conf. */
  readonly machineResolvConf: () => Promise<string>;
  /** How long the kernel may take to get ready. */
  readonly readyMs: number;
  /** Aborted when the agent lets go of the containers. */
  readonly closing: AbortSignal;
  /** The container of this id, if it runs. */
  readonly running: (containerId: string) => ContainerEntry | Refusal;
}

// Docker's, for what failed before the command was even tried.
const EXIT_NOT_STARTED = 128;
const EXIT_KILLED = 137;
// Choice: containerd is restarted within seconds; one that stays away is asked now and then.
export const AGAIN_MIN_MS = 500;
export const AGAIN_MAX_MS = 15_000;

export type StartOutcome =
  | { readonly kind: "running"; readonly supervised: Supervised }
  | { readonly kind: "failed"; readonly refusal: Refusal };

/** Ends with the container running, or with nothing of this life left but the reason. */
export async function startContainer(
  entry: ContainerEntry,
  tools: StartTools,
  how: { readonly files: readonly ContainerFile[]; readonly again: boolean },
  abort: AbortSignal,
): Promise<StartOutcome> {
  const signal = AbortSignal.any([abort, AbortSignal.timeout(tools.readyMs)]);
  let supervised: Promise<Supervised> | undefined;
  let failure: Refusal;
  let exitCode = EXIT_NOT_STARTED;
  try {
    // On disk before anybody is asked: whatever happens now, the next agent knows what to give back.
    const endpoints = chooseEndpoints(entry.record.spec, tools);
    await entry.step({ kind: "prepare", endpoints, again: how.again });
    await entry.sandboxGone;
    await entry.forgetting;
    const { id, spec, life, imageId, mountPoints } = entry.record;
    const sharing = sharedWith(spec, tools);
    const runtime = isRefusal(sharing) ? sharing : runtimeOf(spec, tools.runtimes);
    const refusal = isRefusal(runtime) ? runtime : await tools.volumes.hold(id, mountPoints);
    if (!isRefusal(sharing) && !isRefusal(runtime) && refusal === undefined) {
      const named = sharing?.record ?? entry.record;
      const hostname = hostnameOf(named.id, named.spec);
      supervised = runtime.prepare({ id, life, spec, hostname, imageId, mountPoints }, signal);
      // Its failure is met below; until then it must not count as unhandled.
      supervised.catch(() => undefined);
      entry.sandboxPath = hasOwnSandbox(spec) ? tools.placing.sandbox(id) : "";
      if (entry.sandboxPath !== "") tools.names?.declare(id, spec.dns);
      const netns = (sharing ?? entry).sandboxPath || undefined;
      const lacking = await joinAll(entry, tools, hostname, signal);
      if (lacking === undefined) {
        if (entry.sandboxPath !== "") await readySandbox(id, tools, signal);
        const shim = await supervised;
        await connectEarly(entry, shim);
        await entry.step({ kind: "launch" });
        signal.throwIfAborted();
        const started = await shim.go({
          netns,
          ...(await texts(entry, sharing ?? entry, tools)),
          files: how.files,
        });
        if (started.kind === "running") {
          const { pid, atMs } = started;
          await entry.step({ kind: "ran", pid, atMs });
          return { kind: "running", supervised: shim };
        }
        exitCode = started.exitCode;
        failure = notStarted(started, spec);
      } else failure = lacking;
    } else failure = refusal ?? GIVEN_UP;
  } catch (error) {
    tools.log.warn({ container: entry.record.id, ...faultFields(error) }, "start failed");
    failure = abort.aborted ? GIVEN_UP : refuse("unavailable", whyNot(error, signal));
  }
  const shim = await supervised?.catch(() => undefined);
  await shim?.destroy().catch((error: unknown) => {
    // It is asked to forget this life next, and again until it does.
    tools.log.warn({ container: entry.record.id, ...faultFields(error) }, "not destroyed yet");
  });
  await giveUp(entry, tools, exitCode, failure.message);
  return { kind: "failed", refusal: failure };
}

/** Its namespace is there; whether names are answered in it, too. */
async function readySandbox(id: string, tools: StartTools, signal: AbortSignal): Promise<boolean> {
  await tools.placing.sandboxReady(id, signal);
  if (!tools.names?.open(id)) return false;
  // The way to the resolver is a part of the sandbox, made once it is known where it leads.
  await tools.placing.sandboxReady(id, signal);
  return true;
}

/** Interfaces gone, then addresses given back, so that nobody else gets one that still answers here. */
export async function clearAway(entry: ContainerEntry, tools: StartTools): Promise<void> {
  const { id, endpoints, spec } = entry.record;
  // One that cannot be written down as left (a full disk) must not keep the others, or the sandbox.
  const left = await Promise.allSettled(endpoints.map((endpoint) => leave(endpoint, tools)));
  for (const one of left) {
    if (one.status === "fulfilled") continue;
    // The reconcile goes on trying: nothing declares them any more.
    tools.log.warn({ container: id, err: messageOf(one.reason) }, "endpoint not cleared away");
  }
  // Nothing is in it any more, so nobody waits for it but who needs its place.
  if (hasOwnSandbox(spec)) {
    tools.names?.drop(id);
    entry.sandboxGone = tools.placing.dropSandbox(id).catch((error: unknown) => {
      tools.log.warn({ container: id, err: messageOf(error) }, "sandbox not cleared away");
    });
  }
  await tools.releases.add(endpoints.filter(isAttached).map((endpoint) => endpoint.id));
  await entry.mustGoOn({ kind: "released" }, tools.log);
  await forgetLife(entry, tools);
  await tools.volumes.letGo(id);
}

/** What the runtime still has of this life goes now, or when the runtime can be asked again. */
async function forgetLife(entry: ContainerEntry, tools: StartTools): Promise<void> {
  const { id, spec } = entry.record;
  const runtime = runtimeOf(spec, tools.runtimes);
  if (isRefusal(runtime)) return;
  try {
    await runtime.forget(id);
  } catch (error) {
    tools.log.warn({ container: id, ...faultFields(error) }, "the runtime is asked again");
    void forgetLater(entry, runtime, tools);
  }
}

/** Until a new life begins, which clears away before itself, or all of it is removed. */
async function forgetLater(
  entry: ContainerEntry,
  runtime: Runtime,
  tools: StartTools,
): Promise<void> {
  const { closing, clock } = tools;
  const { id, life } = entry.record;
  for (let pauseMs = AGAIN_MIN_MS; ; pauseMs = Math.min(pauseMs * 2, AGAIN_MAX_MS)) {
    await clock.sleep(pauseMs, closing).catch(() => undefined);
    if (closing.aborted || entry.removal !== undefined || entry.record.life !== life) return;
    const forgotten = runtime.forget(id).then(
      () => true,
      () => false,
    );
    entry.forgetting = forgotten.then(() => undefined);
    if (await forgotten) return;
  }
}

export function runtimeOf(spec: ContainerSpec, runtimes: Runtimes): Runtime | Refusal {
  return (spec.runtime === "process" ? runtimes.process : runtimes.containerd) ?? NO_CONTAINERD;
}

async function giveUp(
  entry: ContainerEntry,
  tools: StartTools,
  exitCode: number,
  error: string,
): Promise<void> {
  if (entry.record.phase !== "preparing" && entry.record.phase !== "starting") return;
  await endNow(entry, tools, exitCode, error);
}

/** Of a life that nobody supervises. What its runtime has of it is removed. */
export async function endNow(
  entry: ContainerEntry,
  tools: StartTools,
  exitCode = EXIT_KILLED,
  error = "",
): Promise<void> {
  await entry.mustGoOn({ kind: "ended", exitCode, error, atMs: tools.clock.nowMs() }, tools.log);
  await clearAway(entry, tools);
}

/** Before the command runs, so that its first word is heard. */
async function connectEarly(entry: ContainerEntry, shim: Supervised): Promise<void> {
  for (const [stream, options] of entry.takeEarly()) stream.become(await shim.attach(options));
}

/** `owner`: whose network it is. */
async function texts(
  entry: ContainerEntry,
  owner: ContainerEntry,
  tools: StartTools,
): Promise<{ readonly hosts: string; readonly resolvConf: string }> {
  const { id, spec, endpoints } = owner.record;
  const addresses = endpoints
    .filter(({ via }) => via !== "gateway")
    .flatMap(({ given }) =>
      given === undefined ? [] : [given.endpoint.ipv4, given.endpoint.ipv6],
    );
  const hosts = hostsText(hostnameOf(id, spec), addresses, extraHosts(spec, endpoints, tools));
  const { dns, dnsSearch, dnsOptions } = spec;
  const named = tools.names?.open(id) === true;
  const isOwn = named || dns.length + dnsSearch.length + dnsOptions.length > 0;
  // What a command of the machine resolves with is the machine's file, as it is at any time.
  if (entry.record.spec.runtime === "process" && !isOwn) return { hosts, resolvConf: "" };
  return { hosts, resolvConf: resolvConfText(await tools.machineResolvConf(), spec, named) };
}

/** Undefined: it has a network of its own, or the machine's. */
function sharedWith(
  { networkMode, networkContainer = "" }: ContainerSpec,
  tools: StartTools,
): ContainerEntry | Refusal | undefined {
  if (networkMode !== "container") return undefined;
  const other = tools.running(networkContainer);
  return isRefusal(other) ? cannotShare(networkContainer) : other;
}

/** "host-gateway" stands for the machine, as the container's bridge has it. */
function extraHosts(
  spec: ContainerSpec,
  endpoints: readonly EndpointRecord[],
  tools: StartTools,
): readonly string[] {
  const bridges = endpoints.filter(({ via }) => via === "local" || via === "gateway");
  const network = bridges[0]?.given?.network ?? tools.localNets.find("bridge");
  const gateway = network?.subnets[0]?.gateway ?? "127.0.0.1";
  return spec.extraHosts.map((entry) => entry.replace(/:host-gateway$/, `:${gateway}`));
}

function notStarted(
  started: Extract<Started, { kind: "failed" }>,
  { runtime }: ContainerSpec,
): Refusal {
  // Docker's CLI reads the exit code of `docker run` out of runc's words.
  const what = runtime === "process" ? "failed to start the container's process: " : "";
  return refuse("invalid-argument", `${what}${started.message}`);
}

function whyNot(error: unknown, signal: AbortSignal): string {
  return signal.aborted && !(error instanceof Fault)
    ? "the container's network was not ready in time"
    : sentenceOf(error);
}
