// /secrets and /configs: named bytes that tasks are handed as files. They differ in one thing: a secret's
// bytes are never shown.
import type { Config, Secret, SecretSpec } from "../../proto/gen/service.js";
import { type Answer, empty, json } from "./answer.js";
import { type Call, param, queryText } from "./call.js";
import {
  type Filters,
  matchesExactly,
  matchesLabels,
  matchesPrefix,
  parseFilters,
} from "./filters.js";
import { findOne } from "./find.js";
import { sortedMap } from "./go-json.js";
import { badRequest, unserved } from "./http-error.js";
import { type JsonObject, maybeObjectIn, objectOf, textIn, textMapIn } from "./json.js";
import { ask, manager } from "./manager.js";
import { type Route, route } from "./router.js";
import { metaJson } from "./service-json.js";
import { versionOf } from "./services.js";

const FILTERS = ["id", "label", "name", "names"];
const BASE64 = /^[A-Za-z0-9+/_-]*={0,2}$/;

type Held = Secret | Config;
// Both specs have the same fields.
type HeldSpec = SecretSpec;

/** What the two kinds ask a manager. */
interface Kind {
  readonly name: "secret" | "config";
  readonly showsData: boolean;
  list(call: Call): Promise<readonly Held[]>;
  create(call: Call, spec: HeldSpec): Promise<Held>;
  update(call: Call, id: string, version: number, spec: HeldSpec): Promise<unknown>;
  remove(call: Call, id: string): Promise<unknown>;
}

const SECRETS: Kind = {
  name: "secret",
  showsData: false,
  list: async (call) => (await ask(call, (client) => client.listSecrets, {}, true)).secrets,
  create: (call, spec) => ask(call, (client) => client.createSecret, { spec }),
  update: (call, id, version, spec) =>
    ask(call, (client) => client.updateSecret, { id, version, spec }),
  remove: (call, id) => ask(call, (client) => client.removeSecret, { id }),
};

const CONFIGS: Kind = {
  name: "config",
  showsData: true,
  list: async (call) => (await ask(call, (client) => client.listConfigs, {}, true)).configs,
  create: (call, spec) => ask(call, (client) => client.createConfig, { spec }),
  update: (call, id, version, spec) =>
    ask(call, (client) => client.updateConfig, { id, version, spec }),
  remove: (call, id) => ask(call, (client) => client.removeConfig, { id }),
};

export const SECRET_ROUTES: readonly Route[] = [...routesOf(SECRETS), ...routesOf(CONFIGS)];

function routesOf(kind: Kind): readonly Route[] {
  const path = `/${kind.name}s`;
  return [
    route("GET", path, (call) => list(kind, call)),
    route("POST", `${path}/create`, (call) => create(kind, call)),
    route("GET", `${path}/{id}`, async (call) => json(heldJson(kind, await find(kind, call)))),
    route("POST", `${path}/{id}/update`, (call) => update(kind, call)),
    route("DELETE", `${path}/{id}`, (call) => remove(kind, call)),
  ];
}

async function list(kind: Kind, call: Call): Promise<Answer> {
  await manager(call);
  const filters = parseFilters(queryText(call, "filters"), FILTERS);
  const all = await kind.list(call);
  return json(all.filter((each) => isWanted(each, filters)).map((each) => heldJson(kind, each)));
}

function isWanted({ id, spec }: Held, filters: Filters): boolean {
  const name = spec?.name ?? "";
  return (
    matchesPrefix(filters, "id", id) &&
    matchesPrefix(filters, "name", name) &&
    matchesExactly(filters, "names", name) &&
    matchesLabels(filters, "label", spec?.labels ?? {})
  );
}

async function create(kind: Kind, call: Call): Promise<Answer> {
  await manager(call);
  const spec = specFromJson(objectOf(await call.body(), "spec"));
  return json({ ID: (await kind.create(call, spec)).id }, 201);
}

async function update(kind: Kind, call: Call): Promise<Answer> {
  await manager(call);
  const spec = specFromJson(objectOf(await call.body(), "spec"));
  const version = versionOf(call, kind.name);
  await kind.update(call, (await find(kind, call)).id, version, spec);
  return empty(200);
}

async function remove(kind: Kind, call: Call): Promise<Answer> {
  await kind.remove(call, (await find(kind, call)).id);
  return empty(204);
}

async function find(kind: Kind, call: Call): Promise<Held> {
  const all = await kind.list(call);
  const ambiguous = (matches: number) => `${matches} matches found`;
  return findOne(param(call, "id"), all, ({ id, spec }) => ({ id, names: [spec?.name ?? ""] }), {
    kind: kind.name,
    ambiguousName: ambiguous,
    ambiguousPrefix: ambiguous,
  });
}

function specFromJson(json: JsonObject): HeldSpec {
  if (maybeObjectIn(json, "Driver")) throw unserved("secret drivers are");
  const data = textIn(json, "Data");
  if (!BASE64.test(data)) throw badRequest("illegal base64 data in the field Data");
  const templating = maybeObjectIn(json, "Templating") ?? {};
  return {
    name: textIn(json, "Name"),
    labels: textMapIn(json, "Labels"),
    data: Buffer.from(data, "base64"),
    templating: textIn(templating, "Name"),
  };
}

function heldJson(kind: Kind, { id, meta, spec }: Held): object {
  return {
    ID: id,
    ...metaJson(meta),
    Spec: {
      Name: spec?.name ?? "",
      Labels: sortedMap(spec?.labels ?? {}),
      ...(kind.showsData && spec && spec.data.length > 0
        ? { Data: Buffer.from(spec.data).toString("base64") }
        : {}),
      ...(spec?.templating ? { Templating: { Name: spec.templating } } : {}),
    },
  };
}
