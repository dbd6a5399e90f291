// What the agent's loops reach the outside through, and what its parts promise each other: the one door to all of
// it, by families. Whoever needs a seam takes it from here.

export type * from "./seams/containers.js";
export type * from "./seams/counters.js";
export type * from "./seams/identity.js";
export type * from "./seams/images.js";
export type * from "./seams/machine.js";
export type * from "./seams/manager-process.js";
export type * from "./seams/managers.js";
export type * from "./seams/membership.js";
export type * from "./seams/networks.js";
export type * from "./seams/node.js";
export type * from "./seams/offloads.js";
export type * from "./seams/path.js";
export type * from "./seams/peers.js";
export type * from "./seams/volumes.js";
export type * from "./seams/watching.js";
export type * from "./seams/wires.js";
