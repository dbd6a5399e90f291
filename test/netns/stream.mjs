// Bytes that can be told to have arrived whole: node stream.mjs take HOST PORT prints "ready", then the length and
// SHA-256 of what each connection brought; node stream.mjs give HOST PORT MEBIBYTES prints the same of what it sent.
// node stream.mjs blast HOST PORT COUNT BYTES sends UDP datagrams; node stream.mjs count PORT COUNT prints "ready", then
// how many came, once COUNT have or nothing did for a while.
import { createHash, randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { connect, createServer, isIPv6 } from "node:net";

const QUIET_MS = 3_000;
const [what, ...rest] = process.argv.slice(2);
if (what === "take") {
  const [host, port] = rest;
  const server = createServer((socket) => {
    const hash = createHash("sha256");
    let length = 0;
    socket.on("data", (bytes) => {
      hash.update(bytes);
      length += bytes.length;
    });
    socket.on("end", () => {
      process.stdout.write(`${length} ${hash.digest("hex")}\n`);
      socket.end();
    });
    socket.on("error", () => {});
  });
  server.listen(Number(port), host, () => process.stdout.write("ready\n"));
} else if (what === "give") {
  const [host, port, mebibytes] = rest;
  const socket = connect(Number(port), host);
  const hash = createHash("sha256");
  let length = 0;
  for (let i = 0; i < Number(mebibytes); i++) {
    // Not a multiple of any segment's length.
    const bytes = randomBytes((1 << 20) - (i % 7));
    hash.update(bytes);
    length += bytes.length;
    if (!socket.write(bytes)) await new Promise((resolve) => socket.once("drain", resolve));
  }
  socket.end();
  await new Promise((resolve) => socket.once("close", resolve).resume());
  process.stdout.write(`${length} ${hash.digest("hex")}\n`);
} else if (what === "blast") {
  const [host, port, count, size] = rest;
  const socket = createSocket(isIPv6(host) ? "udp6" : "udp4");
  if (host.endsWith(".255")) await new Promise((resolve) => socket.bind(0, resolve));
  if (host.endsWith(".255")) socket.setBroadcast(true);
  for (let i = 0; i < Number(count); i++) {
    await new Promise((resolve) => socket.send(Buffer.alloc(Number(size), i), port, host, resolve));
  }
  socket.close();
} else if (what === "count") {
  const [port, count] = rest;
  const socket = createSocket({ type: "udp6", ipv6Only: false });
  let seen = 0;
  let quiet;
  const done = () => {
    process.stdout.write(`${seen}\n`, () => process.exit());
  };
  socket.on("message", (bytes) => {
    const [first] = bytes;
    if (bytes.every((byte) => byte === first)) seen++;
    clearTimeout(quiet);
    if (seen === Number(count)) done();
    quiet = setTimeout(done, QUIET_MS);
  });
  socket.bind(Number(port), "::", () => process.stdout.write("ready\n"));
}
