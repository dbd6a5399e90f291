// What names may look like, in Docker's words where Docker has a rule.
import { type Refusal, refuse } from "../../common/fault.js";

// RFC 1035 section 2.3.4: a label has at most 63 octets.
const LABEL_MAX = 63;
// RFC 1035 section 2.3.4: a name has at most 255 octets, which leaves 253 characters.
const NAME_MAX = 253;
// Choice: nobody needs more names for one endpoint, and each is carried to every node of the network.
const ALIASES_MAX = 32;
// Choice: what is larger is no label any more.
const TEXTS_MAX = 64 * 1024;
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

export function checkNetworkName(name: string): Refusal | undefined {
  if (name === "") return refuse("invalid-argument", "name must be provided");
  if (name.length > LABEL_MAX) {
    return refuse("invalid-argument", `name must be ${LABEL_MAX} characters or fewer`);
  }
  if (!NAME.test(name)) {
    return refuse("invalid-argument", "name must be valid as a DNS name component");
  }
  // Docker's own networks, which every Engine API client expects to mean something else.
  if (["bridge", "host", "none", "default"].includes(name)) {
    const sentence = `operation is not permitted on predefined ${name} network`;
    return refuse("permission-denied", sentence);
  }
  return undefined;
}

/** Of a node or an endpoint; empty means that it has none. */
export function checkName(what: string, name: string): Refusal | undefined {
  if (name === "" || (NAME.test(name) && name.length <= NAME_MAX)) return undefined;
  const rule = `1 to ${NAME_MAX} letters, digits, "_", "." and "-", a letter or digit first`;
  return refuse("invalid-argument", `${what} ${JSON.stringify(name)} is not valid: ${rule}`);
}

/** Of labels and options: all of them go to every node that the object concerns, and to whoever lists it. */
export function checkTexts(
  what: string,
  texts: Readonly<Record<string, string>>,
): Refusal | undefined {
  let characters = 0;
  for (const [key, value] of Object.entries(texts)) characters += key.length + value.length;
  if (characters <= TEXTS_MAX) return undefined;
  const sentence = `${what} of ${characters} characters are more than ${TEXTS_MAX}`;
  return refuse("invalid-argument", sentence);
}

export function checkAliases(aliases: readonly string[]): Refusal | undefined {
  if (aliases.length > ALIASES_MAX) {
    return refuse("invalid-argument", `${aliases.length} aliases are more than ${ALIASES_MAX}`);
  }
  for (const alias of aliases) {
    const refusal = alias === "" ? checkName("alias", " ") : checkName("alias", alias);
    if (refusal !== undefined) return refusal;
  }
  return undefined;
}
