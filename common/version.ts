/** The release. `skein version`, the Engine API and every node's description show it. */
export const SKEIN_VERSION = "0.1.0";
/** The Engine API versions that the local API serves (Docker Engine API, `/_ping`'s Api-Version). */
export const API_VERSION = "1.50";
export const API_VERSION_MIN = "1.40";
