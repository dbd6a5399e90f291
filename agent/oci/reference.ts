// Names of images, by the grammar of github.com/distribution/reference and with Docker's defaults:
// "alpine" is docker.io/library/alpine, and its tag is "latest" where one is needed. Refusals are in the
// words that Docker has for them.
import { isRefusal, type Refusal, refuse } from "../../common/fault.js";

export interface Reference {
  /** "docker.io", "localhost:5000", "[::1]:5000". */
  readonly domain: string;
  /** "library/alpine". */
  readonly path: string;
  /** Empty: none was written. */
  readonly tag: string;
  readonly digest: string;
}

export const DEFAULT_DOMAIN = "docker.io";
const OFFICIAL = "library/";
const DEFAULT_TAG = "latest";

// reference.NameTotalLengthMax.
const NAME_LENGTH_MAX = 255;
// Choice: name, tag (128) and digest together; nothing longer can be right.
const REFERENCE_LENGTH_MAX = 1_024;

const HOST_PART = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])";
const DOMAIN = new RegExp(`^(?:${HOST_PART}(?:\\.${HOST_PART})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?$`);
const PATH_PART = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const TAG = /^\w[\w.-]{0,127}$/;
const DIGEST = /^[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}$/;

const INVALID = refuse("invalid-argument", "invalid reference format");

/** What a person wrote, in full. */
export function parseReference(text: string): Reference | Refusal {
  if (/^[0-9a-f]{64}$/.test(text)) {
    return refuse(
      "invalid-argument",
      `invalid repository name (${text}), cannot specify 64-byte hexadecimal strings`,
    );
  }
  if (text === "" || text.length > REFERENCE_LENGTH_MAX) return INVALID;
  const { domain, rest } = splitDomain(text);
  const at = rest.indexOf("@");
  const digest = at < 0 ? "" : rest.slice(at + 1);
  const named = at < 0 ? rest : rest.slice(0, at);
  const colon = named.indexOf(":");
  const tag = colon < 0 ? "" : named.slice(colon + 1);
  const path = colon < 0 ? named : named.slice(0, colon);
  if (path !== path.toLowerCase()) {
    const sentence = `invalid reference format: repository name (${path}) must be lowercase`;
    return refuse("invalid-argument", sentence);
  }
  if (!DOMAIN.test(domain) || !path.split("/").every((part) => PATH_PART.test(part))) {
    return INVALID;
  }
  if ((colon >= 0 && !TAG.test(tag)) || (at >= 0 && !DIGEST.test(digest))) return INVALID;
  if (domain.length + 1 + path.length > NAME_LENGTH_MAX) {
    const sentence = `repository name must not be more than ${NAME_LENGTH_MAX} characters`;
    return refuse("invalid-argument", sentence);
  }
  return digestRefusal(digest) ?? { domain, path, tag, digest };
}

/** The same, with "latest" for a name without tag and digest. */
export function parseTagged(text: string): Reference | Refusal {
  const reference = parseReference(text);
  if (isRefusal(reference) || reference.tag !== "" || reference.digest !== "") return reference;
  return { ...reference, tag: DEFAULT_TAG };
}

function splitDomain(text: string): { readonly domain: string; readonly rest: string } {
  const slash = text.indexOf("/");
  const first = slash < 0 ? "" : text.slice(0, slash);
  const isDomain = /[.:]/.test(first) || first === "localhost" || first !== first.toLowerCase();
  const domain = isDomain ? first : DEFAULT_DOMAIN;
  const rest = isDomain ? text.slice(slash + 1) : text;
  if (domain !== DEFAULT_DOMAIN && domain !== "index.docker.io") return { domain, rest };
  return { domain: DEFAULT_DOMAIN, rest: rest.includes("/") ? rest : `${OFFICIAL}${rest}` };
}

function digestRefusal(digest: string): Refusal | undefined {
  if (digest === "") return undefined;
  const [algorithm = "", hex = ""] = digest.split(":");
  if (algorithm !== "sha256") return refuse("invalid-argument", "unsupported digest algorithm");
  if (hex.length !== 64) return refuse("invalid-argument", "invalid checksum digest length");
  return /^[0-9a-f]*$/.test(hex)
    ? undefined
    : refuse("invalid-argument", "invalid checksum digest format");
}

/** "docker.io/library/alpine": how containerd's image store has it. */
export function nameOf({ domain, path }: Reference): string {
  return `${domain}/${path}`;
}

export function fullText(reference: Reference): string {
  return nameOf(reference) + suffixOf(reference);
}

/** "alpine", "localhost:5000/app": how Docker shows it. */
export function familiarName({ domain, path }: Reference): string {
  if (domain !== DEFAULT_DOMAIN) return `${domain}/${path}`;
  const short = path.startsWith(OFFICIAL) ? path.slice(OFFICIAL.length) : path;
  return short.includes("/") && path.startsWith(OFFICIAL) ? path : short;
}

export function familiarText(reference: Reference): string {
  return familiarName(reference) + suffixOf(reference);
}

function suffixOf({ tag, digest }: Reference): string {
  return (tag === "" ? "" : `:${tag}`) + (digest === "" ? "" : `@${digest}`);
}
