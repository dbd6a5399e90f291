// In a sandbox: for every line NAME it asks 127.0.0.11 until the name has an address, for `!NAME` until it has
// none, and says the line again with the moment (CLOCK_MONOTONIC, ns), which is the same in all hosts of a lab.
import { createSocket } from "node:dgram";
import { createInterface } from "node:readline";
import { nameBytes } from "../../agent/dns/wire.js";

// Choice: 25 of these together take a tenth of a core.
const EVERY_MS = 10;
// RFC 1035 section 4.1.1.
const HEADER = Buffer.from("0000" + "0100" + "0001" + "0000" + "0000" + "0000", "hex");
const ANSWERS_AT = 6;
const TYPE_A_CLASS_IN = Buffer.from("00010001", "hex");

const socket = createSocket("udp4");
// Between two agents nobody listens.
socket.on("error", () => {});
let line = "";
socket.on("message", (answer, from) => {
  const asked = from.port === 53 && line !== "";
  if (!asked || answer.readUInt16BE(ANSWERS_AT) > 0 === line.startsWith("!")) return;
  process.stdout.write(`${line} ${process.hrtime.bigint()}\n`);
  line = "";
});
setInterval(() => {
  if (line === "") return;
  const name = nameBytes(line.replace("!", ""));
  if (name === undefined) throw new Error(`not a name: ${line}`);
  socket.send(Buffer.concat([HEADER, name, TYPE_A_CLASS_IN]), 53, "127.0.0.11");
}, EVERY_MS);
const lines = createInterface({ input: process.stdin });
lines.on("line", (next) => {
  line = next;
});
lines.on("close", () => process.exit(0));
process.stdout.write("ready\n");
