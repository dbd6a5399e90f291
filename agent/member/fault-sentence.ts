// A fault as the person reads it who asked for something that needed what failed: what failed, where, why,
// and what to do. The log has the fault itself, with its fields. A fault whose message was made a
// sentence where it was thrown says that.
import { Fault, messageOf } from "../../common/fault.js";

const LOG = "the agent's log says more";
const MANAGER_LOG = "its log says more";

type Words = (why: string, data: Fault["data"]) => string;

/** By code. `why` is the cause in one line. */
const SENTENCES: Readonly<Record<string, Words>> = {
  // Managers.
  MANAGER_START: (why) => `the manager process does not start: ${why}; ${MANAGER_LOG}`,
  MANAGER_SPAWN: (why) => `the manager process does not start: ${why}; ${MANAGER_LOG}`,
  MANAGER_ANSWER: () =>
    "the manager process of this node did not answer as it should; is it of another release?",
  NO_LEADER: (_, { addr }) =>
    `the manager at ${addr} knows no leader; more than half of the managers must be running and reach each other`,
  NO_MANAGER: () => "no manager of the swarm answers",
  NO_OTHER_MANAGER: () => "no other manager of the swarm is known to this node",
  IDENTITY_LOCKED: () => "this node's key is sealed with the swarm's unlock key",
  NO_SESSION: () => "this node has no connection to a manager at the moment",
  ROLE_NOT_GIVEN_YET: () => "the managers have not issued the certificate of the new role yet",
  REFUSED: (why) => why,
  RPC_CANCELLED: () => "the request was given up before it was answered",
  RPC_DEADLINE: (_, { addr }) => `${who(addr)} did not answer in time; ${MANAGER_LOG}`,
  RPC_FAILED: (why, { addr }) => `${who(addr)} failed: ${why}; ${MANAGER_LOG}`,
  RPC_UNREACHABLE: (why, { addr }) => `${who(addr)} cannot be reached: ${why}`,
  SESSION_ENDED: (why, { addr }) => `the manager at ${addr} ended the session: ${why}`,
  SESSION_WITHOUT_WELCOME: (_, { addr }) =>
    `what answers at ${addr} does not speak as a manager does; is it of another release?`,
  INQUIRY_CLOSED: () => "nobody waits for this answer any more",
  STOPPED: () => "the agent is stopping, or the node is leaving its swarm",
  ATTACH_ANSWER: () =>
    "the manager's answer lacks the address; are managers and agents of one release?",
  ATTACHMENT_LOST: () => "it was taken away again while it was made",
  // Tasks.
  LOGS_CLOSED: () => "nobody reads this log any more",
  TASK_NOT_REMOVED: (why) => `could not remove the task's container: ${why}`,
  TASK_NOT_STOPPED: (why) => `could not stop the task's container: ${why}`,
  TASK_STOPPED: () => "the task is no longer wanted here",
  // Containerd and images.
  ADOPT_EXECS: (why) => `could not end what was left of commands in the container: ${why}`,
  BLOB_BUSY: () =>
    "containerd is getting this part of the image for somebody else; try again in a moment",
  BLOB_TOO_LONG: () => "a part of the image is longer than its manifest says",
  BLOB_TOO_SHORT: () => "a part of the image is shorter than its manifest says",
  CONTAINERD: (why, { status }) => {
    if (status === "UNAVAILABLE") {
      return `containerd does not answer (${why}): look at 'systemctl status containerd'`;
    }
    const isFull = why.includes("no space left on device");
    return `${isFull ? "the disk of containerd is full" : "containerd could not do it"}: ${why}`;
  },
  CONTAINERD_ANSWER: (why) => `containerd answered oddly: ${why}`,
  CONTAINER_PATH: (why) => `could not get at the file in the container: ${why}`,
  IMAGE_CONFIG: (why) => `the image's config cannot be used: ${why}`,
  MANIFEST_WRONG: (why) => `the image's manifest cannot be used: ${why}`,
  SNAPSHOT_MOUNTS: (why) =>
    `containerd did not say how to mount the container's file system: ${why}`,
  // This machine's kernel.
  ADDRESS_REFUSED: (why) => `the kernel refused the address: ${why}`,
  ROUTE_REFUSED: (why) => `the kernel refused the route: ${why}`,
  APPLIER_CLOSED: () => "the agent is stopping",
  KERNEL_CLOSED: () => "the agent is stopping",
  SANDBOX: (why) => why,
  IOCTL: (why) => `the kernel refused an ioctl(2): ${why}`,
  LINK_GONE: (_, { name }) => `the interface ${name} is gone; is something else removing it?`,
  NETWORK_GONE: (_, { vni }) =>
    `the namespace of the network with VNI ${vni} is gone; it is made anew, try again`,
  MOUNT: (why, { target }) => `could not mount on ${target}: ${why}`,
  MOUNT_PROC: (why, { said }) => `could not mount the sandbox's /proc: ${said || why}`,
  NAMESPACE_NO_WAY_BACK: (why) => `could not return from a network namespace: ${why}`,
  NETLINK_ANSWER_CUT: () => `the kernel's answer was cut off; ${LOG}`,
  NETLINK_RECEIVE: (why) => `the kernel did not answer over netlink: ${why}`,
  ROW_REFUSED: (why, { vni }) =>
    `the kernel refused a forwarding row of the network with VNI ${vni}: ${why}`,
  BPF_PROGRAM_MISSING: (_, { program }) =>
    `the program ${program} is not in this release's object of the accelerated data path`,
  BPF_PROGRAM_REFUSED: (why) => `the kernel refused a program of the accelerated data path: ${why}`,
  BPF_PROGRAM_UNFIT: (why, { why: what }) =>
    `a program of the accelerated data path cannot be linked: ${what ?? why}`,
  BPF_TABLE_GONE: (_, { table }) =>
    `the table ${table} of the accelerated data path is gone; it is made anew, try again`,
  SWITCH_PEERS_FULL: () => "the userspace data path has room for no more nodes",
  SWITCH_SOCKETS_FULL: () => "the userspace data path has room for no more addresses and ports",
  SWITCH_THREAD_FAILED: (why) => `a thread of the userspace data path has ended: ${why}; ${LOG}`,
  VXLAN_ASTRAY: (_, { vni }) =>
    `a VXLAN device of VNI ${vni} is bound to another address than it was to be; it is made anew`,
  WIREGUARD_GONE: () =>
    "the WireGuard device of encrypted networks is gone; it is made anew, try again",
  WIREGUARD_GO_START: (why) => `wireguard-go does not start: ${why}`,
  SETHOSTNAME: (why, { name }) => `could not set the host name ${name}: ${why}`,
  SETNS: (why) => `could not enter a namespace: ${why}`,
  STEP_FAILED: (why, { step }) => `could not do the step ${step}: ${why}`,
  UMOUNT: (why, { target }) => `could not unmount ${target}: ${why}`,
  UNSHARE: (why) => `could not make a namespace: ${why}`,
  // Processes.
  HOLDER_START: (why, { said }) => `could not make the sandbox's namespaces: ${said || why}`,
  KILL_TIMEOUT: (_, { pid }) =>
    `the process ${pid} was killed and does not end; it may be waiting for a disk or a network file system`,
  SHIM_ANSWER: (why, { said }) => `the container's supervisor answered oddly: ${said ?? why}`,
  SHIM_CONNECT: (why) => `the container's supervisor cannot be reached: ${why}`,
  SHIM_GONE: () => "the container's supervisor has ended",
  SHIM_SILENT: (_, { waitingFor }) =>
    `the container's supervisor did not answer in time (${waitingFor})`,
  SHIM_START: (why, { said }) =>
    `the container's supervisor does not start: ${why}${said ? `; it said: ${said}` : ""}`,
  SIGNAL: (why, { number }) => `could not send signal ${number}: ${why}`,
  STARTED_TWICE: () => "the container has been started already",
  SYSTEMCTL: (why, { verb, unit }) => `systemctl ${verb} ${unit} failed: ${why}`,
  NOT_A_CGROUP: () =>
    "the process runtime keeps no count of what a command uses, and cannot hold it still",
  NO_CONTAINERD: () => "there is no containerd on this node now, so nobody can be asked",
  // Disk.
  VOLUME_FILL: (why, { said }) =>
    `could not put what the image has into a new volume: ${said || why}`,
  VOLUME_MOUNTED: (_, { path }) => `something is still mounted on ${path}; unmount it first`,
  DISK_FULL: (_, { path }) => `there is no space left on the disk for ${path}`,
  FILE_READ: (why, { path }) => `could not read ${path}: ${why}`,
  FILE_REMOVE: (why, { path }) => `could not remove ${path}: ${why}`,
  FILE_WRITE: (why, { path }) => `could not write ${path}: ${why}`,
  FOLDER_CREATE: (why, { path }) => `could not make the folder ${path}: ${why}`,
};

/** What to tell a person of an error; never the fault's code alone, nor its fields as they are. */
export function sentenceOf(error: unknown): string {
  if (!(error instanceof Fault)) return messageOf(error);
  const words = SENTENCES[error.code];
  if (isSentence(error)) return error.message;
  if (words !== undefined) return words(whyOf(error), error.data);
  return `something failed on this machine: ${whyOf(error)} (${error.code}); ${LOG}`;
}

/** Set where it was thrown: what `Fault` itself makes of code and data begins with the code. */
function isSentence({ message, code }: Fault): boolean {
  return !message.startsWith(code);
}

function whyOf({ data, cause, code }: Fault): string {
  if (typeof data["why"] === "string" && data["why"] !== "") return data["why"];
  if (cause !== undefined) return sentenceOf(cause);
  return typeof data["errno"] === "string" ? data["errno"] : words(code);
}

function words(code: string): string {
  return code.toLowerCase().replaceAll("_", " ");
}

function who(addr: string | number | boolean | undefined): string {
  if (addr === undefined || addr === "") return "the manager";
  return /^(this|the) /.test(String(addr)) ? String(addr) : `the manager at ${addr}`;
}
