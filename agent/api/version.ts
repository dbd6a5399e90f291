// The API version in a path: "/v1.41/info". Without one the newest is meant, as in dockerd.
import { API_VERSION, API_VERSION_MIN } from "../../common/version.js";
import { HttpError } from "./http-error.js";

/** The minor number of a version "1.N"; there is no other major one. */
export type ApiMinor = number;

const NEWEST: ApiMinor = minorOf(API_VERSION);
const OLDEST: ApiMinor = minorOf(API_VERSION_MIN);
// dockerd answers clients older than this in plain text (api/server/httpstatus, API 1.24).
const JSON_ERRORS_SINCE: ApiMinor = 24;

export interface VersionedPath {
  readonly version: ApiMinor;
  readonly path: string;
}

/** An error for a version out of range, in dockerd's words. */
export class VersionError extends HttpError {
  constructor(
    message: string,
    readonly plainText: boolean,
  ) {
    super(400, message);
  }
}

export function splitVersion(path: string): VersionedPath {
  const match = /^\/v(\d{1,3})\.(\d{1,3})(\/.*)$/.exec(path);
  if (!match?.[3]) return { version: NEWEST, path };
  const [, major = "", minor = "", rest] = match;
  const version = major === "1" ? Number(minor) : Number(major) < 1 ? 0 : Number.MAX_SAFE_INTEGER;
  const asked = `${Number(major)}.${Number(minor)}`;
  if (version < OLDEST) {
    throw new VersionError(
      `client version ${asked} is too old. Minimum supported API version is ${API_VERSION_MIN}, please upgrade your client to a newer version`,
      version < JSON_ERRORS_SINCE,
    );
  }
  if (version > NEWEST) {
    throw new VersionError(
      `client version ${asked} is too new. Maximum supported API version is ${API_VERSION}`,
      false,
    );
  }
  return { version, path: rest };
}

function minorOf(version: string): ApiMinor {
  return Number(version.split(".")[1]);
}
