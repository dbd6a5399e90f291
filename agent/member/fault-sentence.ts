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
  NO_LEADER: (_, { addr }) =>
    `the manager at ${addr} knows no leader; more than half of the managers must be running and reach each other`,
  NO_MANAGER: () => "no manager of the swarm answers",
  NO_OTHER_MANAGER: () => "no other manager of the swarm is known to this node",
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
  STOPPED: () => "the agent is stopping, or the node is leaving its swarm",
  ATTACH_ANSWER: () =>
    "the manager's answer lacks the address; are managers and agents of one release?",
  ATTACHMENT_LOST: () => "it was taken away again while it was made",
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
  // Disk.
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
