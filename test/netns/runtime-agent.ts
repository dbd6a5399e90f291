// An "agent" to be killed: starts what its arguments say, tells the id and goes on until it dies.
//   runtime-agent.js FOLDER SHIM NAME COMMAND...
import { isRefusal, orThrow } from "../../common/fault.js";
import { openNode, specOf } from "./runtime-node.js";

const [folder = "", shim = "", name = "", ...command] = process.argv.slice(2);
const node = await openNode(folder, shim);
const endpoints = [{ network: "overnet", aliases: [], ipv4: "", ipv6: "" }];
const spec = specOf(command, { name, networkMode: "networks", endpoints });
const { id } = orThrow(await node.containers.create(spec));
const refusal = await node.containers.start(id);
if (isRefusal(refusal)) throw new Error(refusal.message);
process.stdout.write(`${id}\n`);
setInterval(() => undefined, 1_000);
