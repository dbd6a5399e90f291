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

const PLUGINS = said(
  "It names what it can serve, runtimes too; its CA is called skein-ca",
  (text) =>
    text
      .replace(
        /( {20}\{\n +"Type": ")(Log|Network)(",\n +"Name": ")([^"]+)("\n +\},\n)/g,
        (all, head, type, middle, name, tail) => {
          if (name === "json-file") return `${all}${head}${type}${middle}none${tail}`;
          return ["bridge", "host", "null", "overlay"].includes(name) ? all : "";
        },
      )
      .replace(/(Log:\t\t).*/, "$1json-file, none")
      .replace(
        /(Network:\t\t).*/,
        "$1bridge, host, null, overlay\n Runtime:\t\tcontainerd, process",
      )
      .replace(
        /( {20}\{\n +"Type": ")Volume(",\n +"Name": ")local("\n +\})/,
        (all, head, middle, tail) =>
          `${all},\n${head}Runtime${middle}containerd${tail},\n${head}Runtime${middle}process${tail}`,
      )
      .replaceAll(OWN_CA[0], OWN_CA[1]),
);
const CONTAINERD = said("A lab has containerd, where a fake node has none", (text) =>
  text
    .replace(
      /Storage Driver: none\n.*\n/,
      "Storage Driver: overlayfs\n  driver-type: io.containerd.snapshotter.v1\n",
    )
    .replace("Cgroup Driver: none", "Cgroup Driver: cgroupfs\n Cgroup Version: 1")
    .replace("Volume: \n", "Volume: local\n")
    .replace(
      /Runtimes: process\n Default Runtime: process/,
      "Runtimes: io.containerd.runc.v2 process\n Default Runtime: io.containerd.runc.v2",
    )
    .replace(
      / init version: .*\n/,
      (all) => `${all} Security Options:\n  seccomp\n   Profile: builtin\n`,
    ),
);
// "CN = swarm-ca" and "CN = skein-ca", as DER in base 64.
const OWN_CA = ["MBMxETAPBgNVBAMTCHN3YXJtLWNh", "MBMxETAPBgNVBAMTCHNrZWluLWNh"] as const;

const ENDPOINT_IDS = said("An endpoint is an object of the swarm, and has an id like one", (text) =>
  text.replace(/("EndpointID": ")[0-9a-f]{64}/g, "$1<id>"),
);

const DIFFERENCES: Readonly<Record<string, Difference>> = {
  "node-inspect-self": PLUGINS,
  "node-inspect-pretty-worker": PLUGINS,
  "info-inactive": CONTAINERD,
  "info-manager": CONTAINERD,
  "info-worker": CONTAINERD,
  "info-manager-json": PLUGINS,
  version: {
    why: CONTAINERD.why,
    ran: (ran) => ({
      ...ran,
      stdout: `${ran.stdout.trimEnd()}\n containerd:\n  Version:          1\n  GitCommit:        1\n`,
    }),
  },
  "swarm-join-refused": refused(
    "In 5 s instead of 10 s, without the layers of gRPC",
    `${daemon} cannot reach a manager: dial tcp 192.168.33.12:2377: connect: connection refused`,
  ),
  "swarm-join-unreachable": refused(
    "In 5 s instead of 20 s, with address and cause; and nothing goes on in the background",
    `${daemon} cannot reach a manager: dial tcp 192.168.33.108:2377: connect: no route to host`,
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
  "info-manager-after-update": {
    why: `Other containers ran before. ${CONTAINERD.why}`,
    ran: (dockerd) => {
      const ran = CONTAINERD.ran(dockerd);
      const stdout = ran.stdout
        .replace(/Containers: 2/, "Containers: 4")
        .replace(/Stopped: 0/, "Stopped: 2");
      return { ...ran, stdout };
    },
  },
};

/** What Skein is to answer on a lab: everywhere its own version, and the difference if there is one. */
export function meantLive(transcript: Transcript): Result {
  const { exitCode: code, stdout, stderr } = meant(transcript);
  const ran = { code, stdout: stdout.replaceAll("20.10.24+dfsg1", SKEIN_VERSION), stderr };
  return DIFFERENCES[transcript.name]?.ran(ran) ?? ran;
}
