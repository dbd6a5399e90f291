// What nodes need of a service beside its endpoints.
import type { ServiceRow } from "../../proto/gen/dispatcher.js";
import { EndpointMode, type Service } from "../../proto/gen/service.js";
import { reachLabels } from "../control/service-labels.js";
import { versionOf } from "../store/objects.js";

export function serviceRowOf(service: Service): ServiceRow {
  return {
    id: service.id,
    version: versionOf(service),
    name: service.spec?.name ?? "",
    mode: service.spec?.endpoint?.mode ?? EndpointMode.VIP,
    ports: service.ports,
    ...reachLabels(service.spec?.labels ?? {}),
  };
}

/** Replicas, images and the like are no news to the nodes that reach it. */
export function isSameRow(before: Service, after: Service): boolean {
  const text = (service: Service) => JSON.stringify({ ...serviceRowOf(service), version: 0 });
  return text(before) === text(after);
}
