// WWW-Authenticate (RFC 9110 section 11.6.1), as registries use it: what kind of proof they want, and where
// to get it (distribution-spec token authentication).

export interface Challenge {
  readonly scheme: "basic" | "bearer";
  readonly parameters: Readonly<Record<string, string>>;
}

// Choice: a header is at most 16 KiB anyway; no registry names more.
const PARAMETERS_MAX = 20;

/** Of several, the one that we prefer to answer; undefined: none that we can. */
export function parseChallenge(header: string): Challenge | undefined {
  const found = [...header.matchAll(/(?:^|,)\s*(basic|bearer)\b/gi)].map(
    ({ 0: all, 1: word, index }) => ({
      scheme: (word ?? "").toLowerCase() as Challenge["scheme"],
      from: index + all.length,
    }),
  );
  const challenges = found.map(({ scheme, from }, i) => {
    const text = header.slice(from, found[i + 1]?.from);
    const pairs = [...text.matchAll(/([a-z_]+)="((?:[^"\\]|\\.)*)"|([a-z_]+)=([^\s",]+)/gi)];
    const parameters = Object.fromEntries(
      pairs
        .slice(0, PARAMETERS_MAX)
        .map(([, key, quoted, bare, word]) => [
          (key ?? bare ?? "").toLowerCase(),
          quoted?.replace(/\\(.)/g, "$1") ?? word ?? "",
        ]),
    );
    return { scheme, parameters };
  });
  return challenges.find(({ scheme }) => scheme === "bearer") ?? challenges[0];
}

/** Where to ask for a token; undefined: the realm is no URL that a secret may be sent to. */
export function tokenUrl(
  challenge: Challenge,
  scope: string,
  plainAllowed: boolean,
): URL | undefined {
  let url: URL;
  try {
    url = new URL(challenge.parameters["realm"] ?? "");
  } catch {
    return undefined;
  }
  const safe =
    url.protocol === "https:" ||
    (url.protocol === "http:" && plainAllowed && isLoopback(url.hostname));
  if (!safe || url.username !== "" || url.password !== "") return undefined;
  const service = challenge.parameters["service"];
  if (service !== undefined) url.searchParams.set("service", service);
  if (scope !== "") url.searchParams.set("scope", scope);
  return url;
}

/** This machine itself, by name or address: what is sent there crosses no wire. */
export function isLoopback(hostname: string): boolean {
  const host = hostname.replace(/^\[|\]$/g, "").toLowerCase();
  return host === "localhost" || host === "::1" || /^127(?:\.\d{1,3}){3}$/.test(host);
}
