// `offloads.mjs DEVICE checksum|segmentation [on|off]`: what a device of this namespace leaves to others.
import { hasOffload, setOffload } from "../../dist/agent/kernel/device-offloads.js";

const [device, offload, wish] = process.argv.slice(2);
if (wish !== undefined) setOffload(device, offload, wish === "on");
process.stdout.write(hasOffload(device, offload) ? "on\n" : "off\n");
