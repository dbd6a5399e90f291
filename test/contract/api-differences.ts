// Where Skein means to answer otherwise than the dockerd of the transcripts, and why.
import { API_VERSION, API_VERSION_MIN, SKEIN_VERSION } from "../../common/version.js";
import type { Ran } from "./api-lab.js";
import type { Transcript } from "./transcript.js";

interface Difference {
  readonly why: string;
  /** The transcript's standard output as Skein's is to be; absent: the same. */
  readonly stdout?: (text: string) => string;
  readonly stderr?: (text: string) => string;
}

const INFO = {
  why: "Another server: no images, no containerd, no runc, its own version and folder; containers outlive it",
  stdout: (text: string) =>
    replaced(text, [
      [/ Images: 2/, " Images: 0"],
      [/Server Version: .*/, `Server Version: ${SKEIN_VERSION}`],
      [
        /Storage Driver: overlay2\n( {2}.*\n)+/,
        "Storage Driver: none\n  Images: none: the process runtime runs commands of this machine\n",
      ],
      [/Cgroup Driver: .*\n Cgroup Version: .*/, "Cgroup Driver: none"],
      [/Volume: local/, "Volume: "],
      [/Network: bridge .*/, "Network: bridge host null overlay"],
      [/Log: awslogs .*/, "Log: json-file"],
      [
        / Runtimes: .*\n Default Runtime: .*\n Init Binary: .*/,
        " Runtimes: process\n Default Runtime: process\n Init Binary: ",
      ],
      [/containerd version: .*\n runc version: .*/, "containerd version: \n runc version: "],
      [/ Security Options:\n {2}seccomp\n {3}Profile: default\n/, ""],
      [/ ID: \S+/, " ID: 00000000-0000-4000-8000-00192168133<n>"],
      [/Docker Root Dir: .*/, "Docker Root Dir: /var/lib/skein"],
      [/ Insecure Registries:\n {2}.*\n/, ""],
      [/Live Restore Enabled: false/, "Live Restore Enabled: true"],
    ]),
};

const NO_LB_ENDPOINT: Difference = {
  why: "No address is spent on a load-balancer endpoint of each node; peers are named by host name",
  stdout: (text) =>
    replaced(text, [
      // The container with the later address comes second: keys are random, addresses are not.
      [/ +"2a28859a3420[0-9a-f]+": \{[^}]*\},\n/, ""],
      [/"lb-overnet"/, `"${"0".repeat(64)}"`],
      [/"overnet-endpoint"/, '"c6"'],
      [/02:42:0a:00:02:03/, "02:42:0a:00:02:04"],
      [/10\.0\.2\.3\/24/, "10.0.2.4/24"],
      [/"785e2820fea0"/, '"h1"'],
      [/"d81bc407bded"/, '"h2"'],
      [/"Tasks": \[[\s\S]*\]/, (all) => inOrderOfAddress(all)],
    ]),
};

const DIFFERENCES: Readonly<Record<string, Difference>> = {
  "info-inactive": INFO,
  "info-manager": INFO,
  "info-worker": INFO,
  "info-manager-after-update": {
    why: `${INFO.why}; fewer containers ran before`,
    stdout: (text) =>
      replaced(INFO.stdout(text), [
        [/Containers: 13/, "Containers: 2"],
        [/Running: 9/, "Running: 2"],
        [/Stopped: 4/, "Stopped: 0"],
      ]),
  },
  "info-manager-json": {
    why: "Managers are listed in the order in which they joined; dockerd's order is random",
    stdout: (text) =>
      replaced(text, [[/("Addr":"192\.168\.133\.)3(.*?"Addr":"192\.168\.133\.)1/, "$11$23"]]),
  },
  version: {
    why: "Another server, in another language, without containerd and runc",
    stdout: (text) =>
      replaced(text, [
        [/\nServer:\n/, `\nServer: Skein ${SKEIN_VERSION}\n`],
        [/(Server[\s\S]*Version: +)20\.10\S+/, `$1${SKEIN_VERSION}`],
        [/1\.41 \(minimum version 1\.12\)/, `${API_VERSION} (minimum version ${API_VERSION_MIN})`],
        [/go1\.19\.8/, `none (Node.js ${process.version})`],
        [/(Git commit: +)5d6db84/, "$1"],
        [/(Built: +)Thu May {2}7 .*/, "$1"],
        [/ containerd:\n[\s\S]*/, ""],
      ]),
  },
  "network-inspect-containers-manager": NO_LB_ENDPOINT,
  "network-inspect-containers-verbose": NO_LB_ENDPOINT,
  "service-create-bad-constraint": {
    why: "A wrong constraint is the client's mistake: InvalidArgument and 400, where SwarmKit gives it no code and dockerd says 500",
    stderr: (text) => text.replace("code = Unknown", "code = InvalidArgument"),
  },
  "service-ps-host-port": {
    why: "A port that is published for both families is one port, and shown once",
    stdout: (text) => text.replaceAll("*:8081->80/tcp,*:8081->80/tcp", "*:8081->80/tcp"),
  },
  "service-ls-after-scale": {
    why: "What is being shut down is no longer counted once it has ended, and here the question is asked until then",
    stdout: (text) =>
      replaced(text, [
        [/3\/0/, "0/0"],
        [/4\/1/, "1/1"],
      ]),
  },
  "network-prune": {
    why: "In the order in which they were made; dockerd's is random. An overlapping subnet is refused at its creation, so overl is not there",
    stdout: () =>
      "Deleted Networks:\nencnet\nintnet\noptnet\nplainnet\nsubn\nv6net\nranged\ntwosub\nhostbits\n",
  },
};

/** What Skein is to answer. */
export function meant(transcript: Transcript): Ran {
  const { exitCode, stdout, stderr, name } = transcript;
  const difference = DIFFERENCES[name];
  return {
    exitCode,
    stdout: difference?.stdout?.(stdout) ?? stdout,
    stderr: difference?.stderr?.(stderr) ?? stderr,
  };
}

type Replacement = readonly [RegExp, string | ((all: string) => string)];

function replaced(text: string, replacements: readonly Replacement[]): string {
  return replacements.reduce(
    (now, [pattern, by]) =>
      typeof by === "string" ? now.replace(pattern, by) : now.replace(pattern, by),
    text,
  );
}

/** dockerd's order of the tasks is random, and its addresses are after the load balancer's. */
function inOrderOfAddress(tasks: string): string {
  const column = (key: string, values: readonly string[]) => {
    const rest = [...values];
    return [new RegExp(`("${key}"): "[^"]+"`, "g"), () => `"${key}": "${rest.shift()}"`] as const;
  };
  return [
    column("Name", ["c1", "c2", "c6"]),
    column("EndpointIP", ["10.0.2.2", "10.0.2.3", "10.0.2.4"]),
    column("Host IP", ["192.168.133.1", "192.168.133.2", "192.168.133.1"]),
  ].reduce((now, [pattern, by]) => now.replace(pattern, by), tasks);
}
