// Where real daemons mean to answer otherwise than the dockerd of the transcripts, beside what
// test/contract/api-differences.ts says of the API alone; each with its reason.
import { SKEIN_VERSION } from "../../common/version.js";
import { meant } from "../contract/api-differences.js";
import type { Transcript } from "../contract/transcript.js";
import type { Result } from "./lab.js";

interface Difference {
  readonly why: string;
  readonly ran: (dockerd: Result) => Result;
}

/** A refusal where dockerd does it, or another sentence where dockerd refuses. */
function refused(why: string, stderr: string): Difference {
  return {
    why,
    ran: ({ stdout }) => ({ code: 1, stdout: /^[0-9a-f]{64}\n/.exec(stdout)?.[0] ?? "", stderr }),
  };
}
function said(why: string, change: (text: string) => string): Difference {
  return {
    why,
    ran: (ran) => ({ ...ran, stdout: change(ran.stdout), stderr: change(ran.stderr) }),
  };
}
function atRun(why: string, sentence: string): Difference {
  const stderr = `docker: Error response from daemon: ${sentence}\n\nRun 'docker run --help' for more information`;
  return { why, ran: (ran) => ({ ...ran, stderr }) };
}

const daemon = "Error response from daemon:";
const AT_ONCE =
  "dockerd keeps a task pending until its own deadline; the reason is known at once and said";

const PLUGINS = said("It has the plugins that it can serve; its CA is called skein-ca", (text) =>
  text
    .replace(/ {20}\{\n +"Type": "(Log|Volume)",\n +"Name": "[^"]+"\n +\},?\n/g, "")
    .replace(/ {20}\{\n +"Type": "Network",\n +"Name": "(?!overlay)[^"]+"\n +\},\n/g, "")
    .replace(/\},\n {16}\]/, "}\n                ]")
    .replace(/^ (Log|Volume):.*\n/gm, "")
    .replace(/(Network:\t\t).*/, "$1overlay")
    .replaceAll(OWN_CA[0], OWN_CA[1]),
);
// "CN = swarm-ca" and "CN = skein-ca", as DER in base 64.
const OWN_CA = ["MBMxETAPBgNVBAMTCHN3YXJtLWNh", "MBMxETAPBgNVBAMTCHNrZWluLWNh"] as const;

const ENDPOINT_IDS = said("An endpoint is an object of the swarm, and has an id like one", (text) =>
  text.replace(/("EndpointID": ")[0-9a-f]{64}/g, "$1<id>"),
);

const DIFFERENCES: Readonly<Record<string, Difference>> = {
  "swarm-init-options": refused(
    "Autolock comes in a later release",
    `${daemon} autolock is not part of this release of Skein`,
  ),
  "swarm-ca-rotate-quiet-detach": refused(
    "CA rotation comes in a later release",
    `${daemon} rotating the certificate authority is not part of this release of Skein`,
  ),
  "node-inspect-self": PLUGINS,
  "node-inspect-pretty-worker": PLUGINS,
  "info-manager-json": PLUGINS,
  "swarm-join-refused": refused(
    "In 5 s instead of 10 s, without the layers of gRPC",
    `${daemon} cannot reach a manager: dial tcp 192.168.33.12:2377: connect: connection refused`,
  ),
  "swarm-join-unreachable": refused(
    "In 5 s instead of 20 s, with address and cause; and nothing goes on in the background",
    `${daemon} cannot reach a manager: dial tcp 192.168.33.108:2377: connect: no route to host`,
  ),
  "network-create-encrypted": refused(
    "Encryption comes in a later release; a network that silently is not encrypted is worse than none",
    `${daemon} rpc error: code = Unimplemented desc = encrypted networks are not part of this release of Skein; it would not encrypt`,
  ),
  "network-create-overlapping": refused(
    "dockerd makes it, and its containers then fail to start or reach the wrong ones",
    `${daemon} rpc error: code = FailedPrecondition desc = subnet 10.77.0.0/25 overlaps with 10.77.0.0/24 of network subn`,
  ),
  "network-inspect-containers-manager": ENDPOINT_IDS,
  "network-inspect-containers-verbose": ENDPOINT_IDS,
  "container-run-static-ip-taken": atRun(
    AT_ONCE,
    "Could not attach to network subn: rpc error: code = AlreadyExists desc = address 10.77.0.20 is already in use by c3 on node h2",
  ),
  "container-run-static-ip-outside": atRun(
    AT_ONCE,
    "Could not attach to network subn: rpc error: code = InvalidArgument desc = address 10.99.9.9 is outside network subn (10.77.0.0/24)",
  ),
  "network-rm-in-use": said("It names what uses the network by name, address and node", (text) =>
    text.replace(/task \S+/, "endpoint c1 (10.0.2.2 on node h1) and 2 more"),
  ),
  "info-manager-after-update": said("Other containers ran before", (text) =>
    text.replace(/Containers: 2/, "Containers: 4").replace(/Stopped: 0/, "Stopped: 2"),
  ),
};

/** What Skein is to answer on a lab: everywhere its own version, and the difference if there is one. */
export function meantLive(transcript: Transcript): Result {
  const { exitCode: code, stdout, stderr } = meant(transcript);
  const ran = { code, stdout: stdout.replaceAll("20.10.24+dfsg1", SKEIN_VERSION), stderr };
  return DIFFERENCES[transcript.name]?.ran(ran) ?? ran;
}
