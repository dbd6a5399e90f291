// What a person, or the swarm, asked to be run: Docker's ContainerConfig and HostConfig as far as they
// mean something here, checked and in units. The same value is what the container is, once what the image
// says has been filled in (image-defaults.ts).

export interface ConsoleSize {
  readonly rows: number;
  readonly columns: number;
}

export interface EndpointWish {
  /** Name or id, of a network of the swarm or of this node. */
  readonly network: string;
  readonly aliases: readonly string[];
  readonly ipv4: string;
  readonly ipv6: string;
  /** The endpoint that the swarm gave to this task with its assignment; absent: it is asked for. */
  readonly assigned?: string | undefined;
}

export type Protocol = "tcp" | "udp" | "sctp";

/** `-p`: a port of the host that leads to one of the container. */
export interface PortBinding {
  readonly containerPort: number;
  readonly protocol: Protocol;
  /** Empty: every address of the host. */
  readonly hostIp: string;
  /** 0: chosen by the node at start. */
  readonly hostPort: number;
  /** With `hostPort` the first: whichever is free from there to here. */
  readonly hostPortLast?: number | undefined;
}

export interface Mount {
  readonly kind: "bind" | "volume" | "tmpfs";
  /** A path of the host; a volume's name (empty: a new nameless one); unused for tmpfs. */
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
  /** mount_namespaces(7): "rprivate" unless said. */
  readonly propagation: string;
  readonly recursive: boolean;
  /** Makes a missing source folder of a bind (`-v` does, `--mount` does not). */
  readonly createSource: boolean;
  /** A new volume starts with what the image has at the target, unless this is set. */
  readonly noCopy: boolean;
  readonly subpath: string;
  readonly volumeDriver: string;
  readonly volumeOptions: Readonly<Record<string, string>>;
  readonly volumeLabels: Readonly<Record<string, string>>;
  /** 0: no limit. */
  readonly tmpfsBytes: number;
  /** Of chmod(2); undefined: 01777. */
  readonly tmpfsMode: number | undefined;
  /** Other options of a tmpfs, as mount(8) writes them ("noexec"). */
  readonly tmpfsOptions: readonly string[];
}

/** setrlimit(2), without "RLIMIT_" and in lower case ("nofile"). -1: no limit. */
export interface Ulimit {
  readonly name: string;
  readonly soft: number;
  readonly hard: number;
}

/** 0 (or empty, or undefined): not limited. */
export interface Limits {
  readonly memoryBytes: number;
  readonly memoryReservationBytes: number;
  /** Memory and swap together; -1: no limit; 0: twice the memory. */
  readonly memorySwapBytes: number;
  /** 0-100; undefined: the kernel's. */
  readonly memorySwappiness: number | undefined;
  readonly nanoCpus: number;
  readonly cpuShares: number;
  readonly cpuPeriodUs: number;
  readonly cpuQuotaUs: number;
  readonly cpusetCpus: string;
  readonly cpusetMems: string;
  readonly pids: number;
  readonly blkioWeight: number;
  readonly oomKillDisable: boolean;
}

export interface Security {
  readonly capAdd: readonly string[];
  readonly capDrop: readonly string[];
  readonly noNewPrivileges: boolean;
  /** Docker's profile, none, or the JSON of another one. */
  readonly seccomp: "default" | "unconfined" | { readonly profile: string };
  readonly readOnlyRoot: boolean;
  readonly groupAdd: readonly string[];
}

/** How often to look whether it is well. All in ms; `test` as in the API: ["CMD", …] or ["CMD-SHELL", command]. */
export interface HealthCheck {
  readonly test: readonly string[];
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly retries: number;
  readonly startPeriodMs: number;
  readonly startIntervalMs: number;
}

export interface RestartRule {
  readonly name: "no" | "always" | "on-failure" | "unless-stopped";
  /** Of "on-failure"; 0: no limit. */
  readonly maximumRetries: number;
}

export interface LogRule {
  readonly driver: "json-file" | "none";
  /** 0: no limit, and one file. */
  readonly maxBytes: number;
  readonly maxFiles: number;
}

export interface ContainerSpec {
  readonly name: string;
  /** As it was asked for; "process" for the runtime of that name. */
  readonly image: string;
  readonly runtime: "containerd" | "process";
  /** [] in a request: the image's; [""]: none at all. */
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  readonly env: readonly string[];
  readonly workingDir: string;
  readonly user: string;
  readonly hostname: string;
  readonly domainname: string;
  readonly tty: boolean;
  /** Of the terminal from its first moment. */
  readonly consoleSize?: ConsoleSize | undefined;
  readonly openStdin: boolean;
  /** Which streams whoever made it meant to be attached to; said again in its inspect, and nothing more. */
  readonly attached?: readonly ("stdin" | "stdout" | "stderr")[] | undefined;
  /** The input ends when the first who is attached to it lets go. */
  readonly stdinOnce: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly autoRemove: boolean;
  readonly stopSignal: string;
  readonly stopTimeoutSeconds: number;
  /**
   * "none": only loopback; "host": the machine's own; "container": the sandbox of `networkContainer`; "networks":
   * `endpoints` says which.
   */
  readonly networkMode: "none" | "host" | "container" | "networks";
  /** The id of the other container. */
  readonly networkContainer?: string | undefined;
  readonly endpoints: readonly EndpointWish[];
  readonly ports: readonly PortBinding[];
  /** "80/tcp", as the image and `--expose` say; with `publishAll`, each gets a port of the host. */
  readonly exposed: readonly string[];
  readonly publishAll: boolean;
  readonly mounts: readonly Mount[];
  readonly limits: Limits;
  readonly ulimits: readonly Ulimit[];
  readonly security: Security;
  readonly sysctls: Readonly<Record<string, string>>;
  readonly shmBytes: number;
  readonly oomScoreAdj: number;
  /** A first process that forwards signals and reaps children. */
  readonly init: boolean;
  /** Undefined: the image's; null: none, whatever the image says. */
  readonly healthCheck: HealthCheck | null | undefined;
  readonly restart: RestartRule;
  readonly log: LogRule;
  readonly dns: readonly string[];
  readonly dnsSearch: readonly string[];
  readonly dnsOptions: readonly string[];
  /** "name:address". */
  readonly extraHosts: readonly string[];
  /** Set when it is a task of the swarm: it is not restarted here, and its addresses are not given back from here. */
  readonly taskId: string;
}

/** A file that is put into the container when it starts, from memory: secrets and configs of a task. */
export interface ContainerFile {
  /** Absolute, inside. */
  readonly target: string;
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
  readonly data: Uint8Array;
  /** It never touches a disk, and inside it lies on a tmpfs. */
  readonly secret: boolean;
}

/** What a mount's request leaves out. */
export const EMPTY_MOUNT: Mount = {
  kind: "bind",
  source: "",
  target: "",
  readOnly: false,
  propagation: "",
  recursive: true,
  createSource: false,
  noCopy: false,
  subpath: "",
  volumeDriver: "",
  volumeOptions: {},
  volumeLabels: {},
  tmpfsBytes: 0,
  tmpfsMode: undefined,
  tmpfsOptions: [],
};

/** A container of nothing: what a request leaves out. */
export const EMPTY_SPEC: ContainerSpec = {
  name: "",
  image: "",
  runtime: "containerd",
  entrypoint: [],
  command: [],
  env: [],
  workingDir: "",
  user: "",
  hostname: "",
  domainname: "",
  tty: false,
  openStdin: false,
  stdinOnce: false,
  labels: {},
  autoRemove: false,
  stopSignal: "",
  stopTimeoutSeconds: 10,
  networkMode: "none",
  endpoints: [],
  ports: [],
  exposed: [],
  publishAll: false,
  mounts: [],
  limits: {
    memoryBytes: 0,
    memoryReservationBytes: 0,
    memorySwapBytes: 0,
    memorySwappiness: undefined,
    nanoCpus: 0,
    cpuShares: 0,
    cpuPeriodUs: 0,
    cpuQuotaUs: 0,
    cpusetCpus: "",
    cpusetMems: "",
    pids: 0,
    blkioWeight: 0,
    oomKillDisable: false,
  },
  ulimits: [],
  security: {
    capAdd: [],
    capDrop: [],
    noNewPrivileges: false,
    seccomp: "default",
    readOnlyRoot: false,
    groupAdd: [],
  },
  sysctls: {},
  shmBytes: 64 * 1024 * 1024,
  oomScoreAdj: 0,
  init: false,
  healthCheck: undefined,
  restart: { name: "no", maximumRetries: 0 },
  log: { driver: "json-file", maxBytes: 0, maxFiles: 1 },
  dns: [],
  dnsSearch: [],
  dnsOptions: [],
  extraHosts: [],
  taskId: "",
};
