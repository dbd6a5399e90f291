// One end of the matrix of data paths and families:
//   node matrix.mjs serve PORT            TCP on every address: first "$NAME CLIENT\n", then what it hears
//   node matrix.mjs probe CHECKS          JSON {key: check}; each is tried until it holds or PATIENCE_MS are over;
//                                         says {key: "ok" | why not}
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { Resolver } from "node:dns/promises";
import { connect, createServer } from "node:net";
import { promisify } from "node:util";

const PATIENCE_MS = 20_000;
const CONNECT_MS = 3_000;
// More than any window begins with, so that full frames and their answers cross.
const PAYLOAD_BYTES = 200_000;
const run = promisify(execFile);
const [what, argument] = process.argv.slice(2);

function serve(port) {
  const name = process.env.NAME ?? "nobody";
  createServer((socket) => {
    socket.on("error", () => {});
    socket.write(`${name} ${socket.remoteAddress?.replace("::ffff:", "")}\n`);
    socket.pipe(socket);
  }).listen(Number(port), () => process.stdout.write("ready\n"));
}

/** The server's first line; with a payload only after it came back as it was. */
function talk({ host, port }, payload = Buffer.alloc(0)) {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    const heard = [];
    let length = 0;
    let line = -1;
    socket.setTimeout(CONNECT_MS, () => socket.destroy(new Error(`silence after ${length} bytes`)));
    socket.on("error", reject);
    socket.on("data", (bytes) => {
      heard.push(bytes);
      length += bytes.length;
      if (line < 0) line = Buffer.concat(heard).indexOf("\n");
      if (line < 0 || length < line + 1 + payload.length) return;
      const all = Buffer.concat(heard);
      socket.destroy();
      if (all.subarray(line + 1).equals(payload)) resolve(all.subarray(0, line).toString());
      else reject(new Error("the payload came back changed"));
    });
    socket.on("end", () => reject(new Error("the connection ended")));
    if (payload.length > 0) socket.write(payload);
  });
}

async function resolves({ name, family, want }) {
  const resolver = new Resolver({ timeout: CONNECT_MS, tries: 1 });
  resolver.setServers(["127.0.0.11"]);
  const found = await resolver[family === 4 ? "resolve4" : "resolve6"](name).catch((error) => {
    if (error.code === "ENODATA") return [];
    throw error;
  });
  if (found.sort().join() !== want.sort().join()) throw new Error(`${name} is ${found}`);
}

/** A full frame with "do not fragment", and then some small ones. */
async function ping({ host }) {
  const route = JSON.parse((await run("ip", ["-j", "route", "get", host])).stdout);
  const link = JSON.parse((await run("ip", ["-j", "link", "show", route[0].dev])).stdout);
  // IPv4 or IPv6 header and 8 of ICMP.
  const full = link[0].mtu - (host.includes(":") ? 48 : 28);
  for (const size of [full, 56]) {
    const { stdout } = await run("ping", [
      ...["-n", "-c", "2", "-i", "0.05", "-W", "2", "-M", "do", "-s", String(size), host],
    ]).catch(({ stdout, stderr }) => ({ stdout: `${stdout}${stderr}` }));
    if (!stdout.includes(" 0% packet loss")) throw new Error(`ping of ${size} bytes: ${stdout}`);
  }
}

/** Until every one of `names` has answered; each is to have seen the client's own address. */
async function all({ host, port, names, client }) {
  const seen = new Set();
  for (let i = 0; i < 60 && seen.size < names.length; i++) {
    const [name, saw] = (await talk({ host, port })).split(" ");
    if (client && saw !== client) throw new Error(`${name} saw ${saw}`);
    seen.add(name);
  }
  const found = [...seen].sort().join();
  if (found !== names.toSorted().join()) throw new Error(`only ${found} answered`);
}

async function tcp(check) {
  const said = await talk(check, randomBytes(PAYLOAD_BYTES));
  const [name] = said.split(" ");
  if (name !== check.name) throw new Error(`${name} answered`);
}

const KINDS = { ping, tcp, resolves, all };

async function probe(checks) {
  const deadline = performance.now() + PATIENCE_MS;
  const outcomes = Object.entries(checks).map(async ([key, check]) => {
    for (;;) {
      const why = await KINDS[check.kind](check).then(
        () => "ok",
        (error) => String(error.message ?? error),
      );
      if (why === "ok" || performance.now() > deadline) return [key, why];
      await new Promise((wake) => setTimeout(wake, 100));
    }
  });
  process.stdout.write(JSON.stringify(Object.fromEntries(await Promise.all(outcomes))));
  process.exit(0);
}

if (what === "serve") serve(argument);
else await probe(JSON.parse(argument));
