// Servers that say who they are, and callers that count who answered:
//   node caller.mjs serve PORT [DRAIN_MS]           TCP and UDP on every address, as $NAME; after SIGTERM it goes on
//                                                   with what is open for DRAIN_MS
//   node caller.mjs count HOST PORT TIMES           TIMES connections → {"name": times, "ECONNREFUSED": times}
//   node caller.mjs get URL                         the body of the answer
//   node caller.mjs load HOST PORT                  asks without pause by TCP and UDP until its input ends
//   node caller.mjs hold tcp|udp HOST PORT          one connection, a line sent for each line read; says how it ends
import { createSocket } from "node:dgram";
import { connect, createServer, isIPv6 } from "node:net";
import { createInterface } from "node:readline";

const PATIENCE_MS = 5_000;
const UDP_PATIENCE_MS = 500;
const AT_ONCE = 8;
const [what, ...rest] = process.argv.slice(2);
const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);

function serve(port, drainMs = "0") {
  const name = process.env.NAME ?? "nobody";
  const tcp = createServer((socket) => {
    socket.on("error", () => {});
    socket.write(`${name}\n`);
    socket.on("data", (bytes) => socket.write(bytes));
  });
  const udp = createSocket({ type: "udp6" });
  udp.on("message", (_, from) => udp.send(`${name}\n`, from.port, from.address));
  udp.bind(Number(port), () => tcp.listen(Number(port), () => process.stdout.write("ready\n")));
  process.on("SIGTERM", () => {
    tcp.close();
    setTimeout(() => process.exit(0), Number(drainMs));
  });
}

/** One connection: who answered, or what went wrong. */
function askTcp(host, port) {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    let heard = "";
    const end = (answer) => {
      clearTimeout(late);
      socket.destroy();
      resolve(answer);
    };
    const late = setTimeout(() => end("timeout"), PATIENCE_MS);
    socket.on("data", (bytes) => {
      heard += bytes;
      if (heard.endsWith("\n")) end(heard.trim());
    });
    socket.on("end", () => end("ended"));
    socket.on("error", (error) => end(error.code ?? "error"));
  });
}

function askUdp(socket, host, port) {
  return new Promise((resolve) => {
    const end = (answer) => {
      clearTimeout(late);
      socket.removeAllListeners("message");
      resolve(answer);
    };
    const late = setTimeout(() => end(undefined), UDP_PATIENCE_MS);
    socket.on("message", (bytes) => end(bytes.toString().trim()));
    socket.send("?", port, host, (error) => error && end(undefined));
  });
}

async function count(host, port, times) {
  const counts = {};
  let left = Number(times);
  const one = async () => {
    while (left-- > 0) {
      const answer = await askTcp(host, Number(port));
      counts[answer] = (counts[answer] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
  say(counts);
}

async function load(host, port) {
  const report = { tcp: 0, udp: 0, failed: [], retried: 0, unanswered: 0, slowestMs: 0, names: {} };
  let on = true;
  process.stdin.on("end", () => {
    on = false;
  });
  process.stdin.resume();
  const tcp = async () => {
    while (on) {
      const beganMs = performance.now();
      const answer = await askTcp(host, Number(port));
      report.tcp++;
      report.slowestMs = Math.max(report.slowestMs, Math.round(performance.now() - beganMs));
      if (/^\d/.test(answer)) report.names[answer] = (report.names[answer] ?? 0) + 1;
      else
        report.failed.push(
          `${answer} at ${Date.now()} after ${Math.round(performance.now() - beganMs)} ms`,
        );
      await new Promise((wake) => setTimeout(wake, 5));
    }
  };
  // One socket all the time: a flow that the kernel goes on following.
  const udp = async () => {
    const socket = createSocket(isIPv6(host) ? "udp6" : "udp4");
    socket.on("error", () => {});
    while (on) {
      report.udp++;
      if ((await askUdp(socket, host, Number(port))) === undefined) {
        report.retried++;
        if ((await askUdp(socket, host, Number(port))) === undefined) report.unanswered++;
      }
      await new Promise((wake) => setTimeout(wake, 5));
    }
    socket.close();
  };
  process.stdout.write("ready\n");
  await Promise.all([tcp(), tcp(), udp()]);
  say(report);
}

function hold(protocol, host, port) {
  const lines = createInterface({ input: process.stdin });
  lines.on("close", () => process.exit(0));
  if (protocol === "tcp") {
    const socket = connect({ host, port: Number(port) });
    socket.on("data", (bytes) => process.stdout.write(bytes));
    socket.on("error", (error) => process.stdout.write(`${error.code}\n`));
    socket.on("end", () => process.stdout.write("ended\n"));
    lines.on("line", (line) => socket.write(`${line}\n`));
  } else {
    const socket = createSocket(isIPv6(host) ? "udp6" : "udp4");
    socket.on("message", (bytes) => process.stdout.write(bytes));
    socket.on("error", (error) => process.stdout.write(`${error.code}\n`));
    lines.on("line", (line) => socket.send(line, Number(port), host));
  }
}

async function get(url) {
  process.stdout.write(await (await fetch(url)).text());
}

const commands = { serve, count, get, load, hold };
await commands[what](...rest);
