// Where Skein means to answer otherwise than the dockerd of the transcripts, and why.
import { API_VERSION, API_VERSION_MIN, SKEIN_VERSION } from "../../common/version.js";
import type { Ran } from "./api-lab.js";
import type { Transcript } from "./transcript.js";

interface Difference {
  readonly why: string;
  /** The transcript's standard output as Skein's is to be. */
  readonly stdout: (text: string) => string;
}

const INFO: Difference = {
  why: "Another server: no images, no containerd, no runc, its own version and folder; containers outlive it",
  stdout: (text) =>
    replaced(text, [
      [/ Images: 2/, " Images: 0"],
      [/Server Version: .*/, `Server Version: ${SKEIN_VERSION}`],
      [
        /Storage Driver: overlay2\n( {2}.*\n)+/,
        "Storage Driver: none\n  Images: none: the process runtime runs commands of this machine\n",
      ],
      [/Cgroup Driver: .*\n Cgroup Version: .*/, "Cgroup Driver: none"],
      [/Volume: local/, "Volume: "],
      [/Network: bridge .*/, "Network: host null overlay"],
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

const NO_BRIDGE: Difference = {
  why: "The bridge driver comes in a later release, so neither bridge nor docker_gwbridge is there",
  // The column is as wide as its widest name.
  stdout: (text) =>
    text
      .split("\n")
      .filter((line) => !/ bridge /.test(line))
      .map((line) => line.replace(/^(.{15}\S+ +?) {8}(?=\S+ +\S+$)/, "$1"))
      .join("\n"),
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
  "network-ls-fresh": NO_BRIDGE,
  "network-ls-after-leave": NO_BRIDGE,
  "network-inspect-containers-manager": NO_LB_ENDPOINT,
  "network-inspect-containers-verbose": NO_LB_ENDPOINT,
  "network-prune": {
    why: "In the order in which they were made; dockerd's is random. An overlapping subnet is refused at its creation, so overl is not there",
    stdout: () =>
      "Deleted Networks:\nencnet\nintnet\noptnet\nplainnet\nsubn\nv6net\nranged\ntwosub\nhostbits\n",
  },
};

/** What Skein is to answer. */
export function meant(transcript: Transcript): Ran {
  const { exitCode, stdout, stderr, name } = transcript;
  return { exitCode, stdout: DIFFERENCES[name]?.stdout(stdout) ?? stdout, stderr };
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
