// Says who asks: node echo.mjs serve NAME PORT, or node echo.mjs ask tcp|udp HOST PORT [TIMES], or
// node echo.mjs hold PORT (listens on the port of every address), or node echo.mjs end PORT (leaves a
// connection in TIME_WAIT), or node echo.mjs chat HOST PORT (one connection, a line sent for each line read).
import { createSocket } from "node:dgram";
import { connect, createServer } from "node:net";
import { createInterface } from "node:readline";

const PATIENCE_MS = 1_500;
const [what, ...rest] = process.argv.slice(2);
if (what === "serve") {
  const [name, port] = rest;
  const tcp = createServer((socket) => {
    socket.on("error", () => {});
    socket.write(`${name} ${socket.remoteAddress?.replace("::ffff:", "")}\n`);
    socket.on("data", (bytes) => socket.write(bytes));
  });
  const open = (type) =>
    new Promise((resolve) => {
      const udp = createSocket({ type, ipv6Only: type === "udp6" });
      udp.on("message", (_, { address, port: to }) =>
        udp.send(`${name} ${address}\n`, to, address),
      );
      udp.on("error", resolve);
      udp.bind(Number(port), resolve);
    });
  await open("udp4");
  await open("udp6");
  tcp.listen(Number(port), () => process.stdout.write("ready\n"));
} else if (what === "ask") {
  const [protocol, host, port] = rest;
  const late = setTimeout(() => end("timeout"), PATIENCE_MS);
  const end = (text) => {
    clearTimeout(late);
    process.stdout.write(text.trim());
    process.exit(0);
  };
  if (protocol === "tcp") {
    const socket = connect(Number(port), host);
    socket.on("data", (bytes) => end(bytes.toString()));
    socket.on("error", (error) => end(error.code ?? "error"));
  } else {
    const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
    socket.on("message", (bytes) => end(bytes.toString()));
    socket.on("error", (error) => end(error.code ?? "error"));
    // Connected, so that an ICMP refusal is heard.
    socket.connect(Number(port), host, () => socket.send("?"));
  }
} else if (what === "hold") {
  createServer().listen(Number(rest[0]), "0.0.0.0", () => process.stdout.write("ready\n"));
} else if (what === "end") {
  // Serves one connection, ends it first, and is gone.
  const server = createServer((socket) => {
    socket.on("close", () => server.close(() => process.stdout.write("ended\n")));
    socket.end("x");
  });
  server.listen(Number(rest[0]), () => connect(Number(rest[0]), "127.0.0.1").resume());
} else if (what === "many") {
  // Connections that are open all at once, from one address; an answer counts.
  const [host, ports, times, atOnce] = [
    rest[0].split(","),
    rest[1].split(",").map(Number),
    Number(rest[2]),
    Number(rest[3]),
  ];
  const open = [];
  const tally = {};
  let next = 0;
  const one = () =>
    new Promise((resolve) => {
      const n = next++;
      const socket = connect(ports[n % ports.length], host[n % host.length]);
      open.push(socket);
      const end = (what) => {
        tally[what] = (tally[what] ?? 0) + 1;
        resolve();
      };
      socket.setTimeout(20_000, () => end("timeout"));
      socket.once("data", () => {
        socket.setTimeout(0);
        end("ok");
      });
      socket.on("error", (error) => end(error.code ?? "error"));
    });
  const worker = async () => {
    while (next < times) await one();
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  process.stdout.write(JSON.stringify(tally));
  process.exit(0);
} else if (what === "chat") {
  const socket = connect(Number(rest[1]), rest[0]);
  socket.on("data", (bytes) => process.stdout.write(bytes));
  socket.on("error", (error) => process.stdout.write(`${error.code}\n`));
  createInterface({ input: process.stdin }).on("line", (line) => socket.write(`${line}\n`));
}
