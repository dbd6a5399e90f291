// What a registry answered that it would not, in Docker's words (moby distribution/errors.go).
import { type Refusal, refuse } from "../../common/fault.js";

export interface RegistryError {
  /** "MANIFEST_UNKNOWN"; empty: the answer names none. */
  readonly code: string;
  readonly message: string;
}

/** The first error of an answer's body (distribution-spec, "Error Codes"). */
export function registryError(status: number, body: Uint8Array): RegistryError {
  try {
    const json = JSON.parse(Buffer.from(body).toString("utf8")) as Record<string, unknown>;
    const [first] = Array.isArray(json["errors"]) ? (json["errors"] as unknown[]) : [];
    const { code, message } = (first ?? {}) as Record<string, unknown>;
    if (typeof code === "string") {
      return { code: plain(code), message: plain(typeof message === "string" ? message : "") };
    }
    // Token servers answer so.
    const { details, error_description: description } = json;
    const said = [details, description].find((each) => typeof each === "string");
    if (typeof said === "string") return { code: codeOf(status), message: plain(said) };
  } catch {
    // What is not JSON says nothing that a person could use.
  }
  return { code: codeOf(status), message: "" };
}

function codeOf(status: number): string {
  if (status === 401) return "UNAUTHORIZED";
  if (status === 403) return "DENIED";
  return status === 429 ? "TOOMANYREQUESTS" : "";
}

// Choice: a sentence for a person, on one line.
const MESSAGE_LENGTH_MAX = 500;

function plain(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is taken out
  return text.replace(/[\x00-\x1f\x7f]+/g, " ").slice(0, MESSAGE_LENGTH_MAX);
}

/** "manifest unknown: manifest unknown". */
export function errorText({ code, message }: RegistryError): string {
  const word = code.toLowerCase().replaceAll("_", " ");
  const said = message || (DEFAULT_MESSAGES[code] ?? "");
  return said === "" ? word : `${word}: ${said}`;
}

const DEFAULT_MESSAGES: Readonly<Record<string, string>> = {
  UNAUTHORIZED: "authentication required",
  DENIED: "requested access to the resource is denied",
  MANIFEST_UNKNOWN: "manifest unknown",
  NAME_UNKNOWN: "repository name not known to registry",
};

/** `name` is the repository as Docker shows it; `ref` with its tag. */
export function pullRefusal(
  status: number,
  error: RegistryError,
  name: string,
  ref: string,
  what: string,
): Refusal {
  const text = errorText(error);
  switch (error.code) {
    case "DENIED":
      return refuse(
        "not-found",
        `pull access denied for ${name}, repository does not exist or may require 'docker login': ${text}`,
      );
    case "MANIFEST_UNKNOWN":
      return refuse("not-found", `manifest for ${ref} not found: ${text}`);
    case "NAME_UNKNOWN":
      return refuse("not-found", `repository ${name} not found: ${text}`);
    case "UNAUTHORIZED":
      return refuse("permission-denied", text);
    case "":
      if (status === 404) {
        return refuse(
          "not-found",
          `manifest for ${ref} not found: manifest unknown: manifest unknown`,
        );
      }
      return refuse("unavailable", `received unexpected HTTP status: ${status} for ${what}`);
    default:
      return refuse("unavailable", text);
  }
}
