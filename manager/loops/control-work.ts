// Control of services, tasks, secrets and configs: which core decides it, what the answer shows, and how
// it is asked of the leader.
import { isRefusal, type Refusal } from "../../common/fault.js";
import { isSwarmId, newSwarmId } from "../../common/ids.js";
import type { Random } from "../../common/random.js";
import { createConfig, removeConfig, updateConfig } from "../control/config.js";
import { allowPolicy, removePolicy } from "../control/policy.js";
import { createSecret, removeSecret, shownSecret, updateSecret } from "../control/secret.js";
import { condemnTasks, createService, removeService, updateService } from "../control/service.js";
import {
  endpointsOfTasks,
  findService,
  findTask,
  selectTasks,
  shownService,
  shownTasks,
  statusOf,
} from "../control/work-lookup.js";
import type { Caller, ControlCalls } from "../seams.js";
import type { StoreView } from "../store/view.js";
import type { Ask } from "./control-ask.js";
import { unknownIfOutOfSequence, unknownIfTaken } from "./route.js";
import { requestContext, type Writer } from "./write.js";

type WorkCalls = Omit<
  ControlCalls,
  | "getCluster"
  | "getUnlockKey"
  | "updateCluster"
  | "listNodes"
  | "updateNode"
  | "removeNode"
  | "listNetworks"
  | "createNetwork"
  | "removeNetwork"
  | "listEndpoints"
>;

export interface WorkOptions {
  readonly ask: Ask;
  readonly writer: Writer;
  readonly random: Random;
}

export function workCalls(options: WorkOptions): WorkCalls {
  return { ...serviceCalls(options), ...fileCalls(options), ...policyCalls(options) };
}

function serviceCalls({ ask, writer, random }: WorkOptions) {
  const calls: Pick<
    WorkCalls,
    | "createService"
    | "updateService"
    | "removeService"
    | "getService"
    | "listServices"
    | "getTask"
    | "listTasks"
  > = {
    createService: (request, caller) => {
      const id = chosenId(caller, random);
      return ask.write(
        caller,
        (draft, nowMs) => {
          if (draft.service(id) !== undefined) return id;
          const ctx = requestContext(nowMs, random);
          return ask.idOf(createService(draft, request, beginningWith(ctx, id)));
        },
        (view) => answerOf(view, id, ask),
        ({ control }, routed) => control.createService(request, { ...routed, requestId: id }),
        unknownIfTaken,
      );
    },
    updateService: (request, caller) =>
      ask.write(
        caller,
        (draft, nowMs) => {
          const ctx = requestContext(nowMs, random);
          return ask.idOf(updateService(draft, request, ctx));
        },
        (view, id) => answerOf(view, id, ask),
        ({ control }, routed) => control.updateService(request, routed),
        unknownIfOutOfSequence,
      ),
    removeService: (request, caller) =>
      ask.write(
        caller,
        (draft, nowMs) =>
          removeService(draft, request, requestContext(nowMs, random)) ?? request.id,
        (_view, id) => {
          // The service is gone, which is what was asked; its many tasks follow, and should this leader
          // not come to it, the orchestrator finds tasks without a service.
          condemnTheRest(writer, id);
          return {};
        },
        ({ control }, routed) => control.removeService(request, routed),
        ask.doneIfGone,
      ),
    getService: (request, caller) =>
      ask.read(
        caller,
        (view) => shown(findService(view, request.ref), shownService),
        ({ control }, routed) => control.getService(request, routed),
      ),
    listServices: (request, caller) =>
      ask.read(
        caller,
        (view) => {
          const services = [...view.services()];
          const statuses = request.withStatus ? services.map((each) => statusOf(view, each)) : [];
          return { services: services.map(shownService), statuses };
        },
        ({ control }, routed) => control.listServices(request, routed),
      ),
    getTask: (request, caller) =>
      ask.read(
        caller,
        (view) => shown(findTask(view, request.ref), (task) => shownTasks([task])[0] ?? task),
        ({ control }, routed) => control.getTask(request, routed),
      ),
    listTasks: (request, caller) =>
      ask.read(
        caller,
        (view) => {
          const tasks = selectTasks(view, request);
          return { tasks: shownTasks(tasks), endpoints: endpointsOfTasks(view, tasks) };
        },
        ({ control }, routed) => control.listTasks(request, routed),
      ),
  };
  return calls;
}

function policyCalls({ ask, random }: WorkOptions) {
  const calls: Pick<WorkCalls, "listPolicies" | "allowPolicy" | "removePolicy"> = {
    listPolicies: (request, caller) =>
      ask.read(
        caller,
        (view) => ({ policies: [...view.policies()] }),
        ({ control }, routed) => control.listPolicies(request, routed),
      ),
    allowPolicy: (request, caller) =>
      ask.write(
        caller,
        (draft, nowMs) => ask.idOf(allowPolicy(draft, request, requestContext(nowMs, random))),
        (view, id) => view.policy(id) ?? ask.gone("policy", id),
        ({ control }, routed) => control.allowPolicy(request, routed),
      ),
    removePolicy: (request, caller) =>
      ask.write(
        caller,
        (draft) => removePolicy(draft, request) ?? request.id,
        () => ({}),
        ({ control }, routed) => control.removePolicy(request, routed),
        ask.doneIfGone,
      ),
  };
  return calls;
}

function fileCalls({ ask, random }: WorkOptions) {
  const calls: Pick<
    WorkCalls,
    | "createSecret"
    | "updateSecret"
    | "removeSecret"
    | "listSecrets"
    | "createConfig"
    | "updateConfig"
    | "removeConfig"
    | "listConfigs"
  > = {
    createSecret: (request, caller) => {
      const id = chosenId(caller, random);
      return ask.write(
        caller,
        (draft, nowMs) => {
          if (draft.secret(id) !== undefined) return id;
          const ctx = requestContext(nowMs, random);
          return ask.idOf(createSecret(draft, request, beginningWith(ctx, id)));
        },
        (view) => secretOf(view, id, ask),
        ({ control }, routed) => control.createSecret(request, { ...routed, requestId: id }),
        unknownIfTaken,
      );
    },
    updateSecret: (request, caller) =>
      ask.write(
        caller,
        (draft) => ask.idOf(updateSecret(draft, request)),
        (view, id) => secretOf(view, id, ask),
        ({ control }, routed) => control.updateSecret(request, routed),
        unknownIfOutOfSequence,
      ),
    removeSecret: (request, caller) =>
      ask.write(
        caller,
        (draft) => removeSecret(draft, request) ?? request.id,
        () => ({}),
        ({ control }, routed) => control.removeSecret(request, routed),
        ask.doneIfGone,
      ),
    listSecrets: (request, caller) =>
      ask.read(
        caller,
        (view) => ({ secrets: [...view.secrets()].map(shownSecret) }),
        ({ control }, routed) => control.listSecrets(request, routed),
      ),
    createConfig: (request, caller) => {
      const id = chosenId(caller, random);
      return ask.write(
        caller,
        (draft, nowMs) => {
          if (draft.config(id) !== undefined) return id;
          const ctx = requestContext(nowMs, random);
          return ask.idOf(createConfig(draft, request, beginningWith(ctx, id)));
        },
        (view) => view.config(id) ?? ask.gone("config", id),
        ({ control }, routed) => control.createConfig(request, { ...routed, requestId: id }),
        unknownIfTaken,
      );
    },
    updateConfig: (request, caller) =>
      ask.write(
        caller,
        (draft) => ask.idOf(updateConfig(draft, request)),
        (view, id) => view.config(id) ?? ask.gone("config", id),
        ({ control }, routed) => control.updateConfig(request, routed),
        unknownIfOutOfSequence,
      ),
    removeConfig: (request, caller) =>
      ask.write(
        caller,
        (draft) => removeConfig(draft, request) ?? request.id,
        () => ({}),
        ({ control }, routed) => control.removeConfig(request, routed),
        ask.doneIfGone,
      ),
    listConfigs: (request, caller) =>
      ask.read(
        caller,
        (view) => ({ configs: [...view.configs()] }),
        ({ control }, routed) => control.listConfigs(request, routed),
      ),
  };
  return calls;
}

/** Chosen by the manager that is asked first, so that asking the next leader again makes one object. */
function chosenId(caller: Caller, random: Random): string {
  return isSwarmId(caller.requestId) ? caller.requestId : newSwarmId(random);
}

/** The first id that is asked for is the one that was chosen. */
function beginningWith(ctx: ReturnType<typeof requestContext>, id: string) {
  let first: string | undefined = id;
  return {
    ...ctx,
    newId: () => {
      const next = first ?? ctx.newId();
      first = undefined;
      return next;
    },
  };
}

function answerOf(view: StoreView, id: string, ask: Ask) {
  const service = view.service(id);
  if (service === undefined) return ask.gone("service", id);
  return { service: shownService(service), warnings: [] };
}

function secretOf(view: StoreView, id: string, ask: Ask) {
  const secret = view.secret(id);
  return secret === undefined ? ask.gone("secret", id) : shownSecret(secret);
}

function shown<T>(found: T | Refusal, show: (value: T) => T): T | Refusal {
  return isRefusal(found) ? found : show(found);
}

function condemnTheRest(writer: Writer, serviceId: string): void {
  writer
    .write(
      (draft, nowMs) => condemnTasks(draft, serviceId, nowMs),
      (_view, more) => more,
    )
    .then(
      (more) => {
        if (more === true) condemnTheRest(writer, serviceId);
      },
      // The lead was lost: the next leader's orchestrator sees to it.
      () => undefined,
    );
}
