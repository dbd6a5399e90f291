// A name server for tests, as somebody else's: node name-server.mjs ADDRESS [silent|many]. Every name that ends
// in ".test" has 192.0.2.1 for a minute, "big.test" has 100 addresses (and so needs TCP), others do not exist.
// With each question it writes a line: protocol, name. Port 53.
import { createSocket } from "node:dgram";
import { createServer } from "node:net";

const [address, manner] = process.argv.slice(2);

function answer(question, protocol) {
  const labels = [];
  let at = 12;
  while (question[at] > 0) {
    labels.push(question.toString("latin1", at + 1, at + 1 + question[at]));
    at += 1 + question[at];
  }
  const name = labels.join(".").toLowerCase();
  const end = at + 5;
  const isAddress = question.readUInt16BE(at + 1) === 1;
  console.log(`${protocol} ${name}`);
  if (manner === "silent") return undefined;
  const known = name.endsWith(".test");
  const count = !known || !isAddress ? 0 : name === "big.test" ? 100 : 1;
  const isCut = count > 1 && protocol === "udp";
  const shown = isCut ? 0 : count;
  const out = Buffer.alloc(end + 16 * shown);
  question.copy(out, 0, 0, end);
  out.writeUInt16BE(0x8180 | (known ? 0 : 3) | (isCut ? 0x200 : 0), 2);
  out.writeUInt16BE(1, 4);
  out.writeUInt16BE(shown, 6);
  out.fill(0, 8, 12);
  for (let i = 0; i < shown; i++) {
    out.write("c00c00010001", end + 16 * i, "hex");
    out.writeUInt32BE(60, end + 16 * i + 6);
    out.writeUInt16BE(4, end + 16 * i + 10);
    out.set([192, 0, 2, i + 1], end + 16 * i + 12);
  }
  return out;
}

const udp = createSocket("udp4");
udp.on("message", (question, from) => {
  const out = answer(question, "udp");
  if (out !== undefined) udp.send(out, from.port, from.address);
});
udp.bind(53, address, () => {
  createServer((connection) => {
    connection.on("error", () => connection.destroy());
    connection.on("data", (bytes) => {
      const out = answer(bytes.subarray(2), "tcp");
      if (out === undefined) return;
      const length = Buffer.alloc(2);
      length.writeUInt16BE(out.length);
      connection.end(Buffer.concat([length, out]));
    });
  }).listen(53, address, () => console.log("ready"));
});
