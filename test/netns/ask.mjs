// Asks a name server as no ordinary client does: node ask.mjs udp|tcp SERVER:PORT HEX… sends each message and
// prints each answer in hexadecimal, or "nothing" after some time. node ask.mjs until SERVER:PORT HEX asks until
// there is a record in the answer, and prints when that was, in Unix milliseconds.
import { createSocket } from "node:dgram";
import { connect } from "node:net";

const [protocol, server, ...messages] = process.argv.slice(2);
const [address, port] = server.split(":");
const PATIENCE_MS = 3_000;
const EVERY_MS = 2;

if (protocol === "until") {
  const socket = createSocket("udp4");
  socket.on("message", (answer) => {
    if (answer.readUInt16BE(6) === 0) return;
    console.log(Date.now());
    process.exit(0);
  });
  const [message] = messages;
  socket.bind(() => {
    console.log("asking");
    setInterval(() => socket.send(Buffer.from(message, "hex"), Number(port), address), EVERY_MS);
  });
  await new Promise(() => {});
}

for (const message of messages) {
  const bytes = Buffer.from(message, "hex");
  const answer = await new Promise((resolve) => {
    const timer = setTimeout(() => resolve(undefined), PATIENCE_MS);
    const done = (heard) => {
      clearTimeout(timer);
      resolve(heard);
    };
    if (protocol === "udp") {
      const socket = createSocket("udp4");
      socket.on("message", done);
      socket.on("error", () => done(undefined));
      socket.send(bytes, Number(port), address);
      return;
    }
    const socket = connect(Number(port), address);
    const length = Buffer.alloc(2);
    length.writeUInt16BE(bytes.length);
    socket.write(Buffer.concat([length, bytes]));
    let heard = Buffer.alloc(0);
    socket.on("data", (chunk) => {
      heard = Buffer.concat([heard, chunk]);
      if (heard.length >= 2 && heard.length >= 2 + heard.readUInt16BE(0)) done(heard.subarray(2));
    });
    socket.on("error", () => done(undefined));
    socket.on("close", () => done(undefined));
  });
  console.log(answer === undefined ? "nothing" : answer.toString("hex"));
}
process.exit(0);
