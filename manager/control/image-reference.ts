// Whether a text can name an image at all; which image it is, nodes find out. The grammar is that of the
// distribution project (reference/regexp.go), with a registry's name left out meaning Docker's own.

const COMPONENT = "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*";
const LABEL = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])";
const DOMAIN = `(?:${LABEL}(?:\\.${LABEL})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?`;
const PATH = new RegExp(`^${COMPONENT}(?:/${COMPONENT})*$`);
const DOMAIN_ONLY = new RegExp(`^${DOMAIN}$`);
const TAG = /^\w[\w.-]{0,127}$/;
const DIGEST = /^[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}$/;
// 64 hexadecimal digits are an image's id, which no registry knows by that.
const BARE_ID = /^[a-f0-9]{64}$/;
const NAME_MAX = 255;

export function isImageReference(text: string): boolean {
  if (BARE_ID.test(text)) return false;
  const [rest = "", digest, ...more] = text.split("@");
  if (more.length > 0 || (digest !== undefined && !DIGEST.test(digest))) return false;
  // A colon after the last slash begins the tag; one before it is of a port.
  const colon = rest.indexOf(":", rest.lastIndexOf("/") + 1);
  const name = colon < 0 ? rest : rest.slice(0, colon);
  if (colon >= 0 && !TAG.test(rest.slice(colon + 1))) return false;
  if (name.length > NAME_MAX) return false;
  const slash = name.indexOf("/");
  const first = slash < 0 ? "" : name.slice(0, slash);
  // "localhost/x" and "host.name/x" name a registry; "user/x" does not.
  const isDomain = /[.:]/.test(first) || first === "localhost";
  if (!isDomain) return PATH.test(name);
  return DOMAIN_ONLY.test(first) && PATH.test(name.slice(slash + 1));
}
