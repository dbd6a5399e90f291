// Many bytes over one TCP connection: `bulk.mjs serve ADDRESS` prints its port and then, of each connection, how much
// came and its digest, and sends that back; `bulk.mjs send ADDRESS PORT BYTES` prints "same" if all arrived.
import { createHash } from "node:crypto";
import { connect, createServer } from "node:net";

const [command, address, port, bytes] = process.argv.slice(2);

if (command === "serve") {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const digest = createHash("sha256");
    let count = 0;
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      digest.update(chunk);
      count += chunk.length;
    });
    socket.on("end", () => socket.end(`${count} ${digest.digest("hex")}`));
  });
  server.listen(0, address, () => process.stdout.write(`port ${server.address().port}\n`));
} else {
  const data = Buffer.alloc(Number(bytes), "0123456789abcdef overlay ");
  const digest = createHash("sha256").update(data).digest("hex");
  const socket = connect(Number(port), address, () => socket.end(data));
  let answer = "";
  socket.setTimeout(20_000, () => socket.destroy(new Error(`stalled after "${answer}"`)));
  socket.on("data", (chunk) => {
    answer += chunk;
  });
  socket.on("error", (error) => {
    process.stdout.write(`${error.message}\n`);
    process.exitCode = 1;
  });
  socket.on("end", () => {
    process.stdout.write(answer === `${data.length} ${digest}` ? "same\n" : `${answer}\n`);
  });
}
