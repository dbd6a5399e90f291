// Nodes without volumes, or without networks of their own.
import type { LocalNetworks, Volumes } from "../../agent/seams.js";
import { refuse } from "../../common/fault.js";

export const NO_VOLUMES: Volumes = {
  list: () => [],
  get: (name) => refuse("not-found", `get ${name}: no such volume`),
  create: async () => refuse("unavailable", "there are no volumes on this node"),
  remove: async (name) => refuse("not-found", `get ${name}: no such volume`),
  prune: async () => ({ removed: [], bytes: 0 }),
};

export const NO_LOCAL_NETWORKS: LocalNetworks = {
  list: () => [],
  find: () => undefined,
  create: async () => refuse("unimplemented", "this node has no networks of its own"),
  remove: async (ref) => refuse("not-found", `network ${ref} not found`),
  endpointsOn: () => [],
};
