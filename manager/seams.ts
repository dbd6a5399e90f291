// What the manager's loops reach the outside through, and what its parts promise each other: the one door to all of
// it, by families. Each seam has a real implementation in a shell folder, a twin in test/fakes, and one suite that
// runs on both. Whoever needs a seam takes it from here.

export type * from "./seams/certificates.js";
export type * from "./seams/consensus.js";
export type * from "./seams/disk.js";
export type * from "./seams/services.js";
