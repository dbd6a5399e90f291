// Knocks at a manager with the certificate in a folder, and prints how each service answers:
// node knock.mjs IDENTITY-FOLDER HOST:PORT
import { createPrivateKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { Client, credentials, status } from "@grpc/grpc-js";

const [folder, addr] = process.argv.slice(2);
const file = (name) => readFileSync(`${folder}/${name}`);
const passphrase = file("node-key").toString().trim();
const key = createPrivateKey({ key: file("key.pem"), passphrase });
const pem = Buffer.from(key.export({ type: "pkcs8", format: "pem" }));
const channel = credentials.createSsl(file("root.pem"), pem, file("cert.pem"));
const client = new Client(addr, channel, { "grpc.ssl_target_name_override": "skein-manager" });
const same = (bytes) => bytes;
const methods = ["Dispatcher/FindNetwork", "Dispatcher/Leave", "Control/ListNodes", "Raft/Join"];
for (const method of methods) {
  await new Promise((done) => {
    const deadline = { deadline: Date.now() + 2000 };
    const path = `/skein.v1.${method}`;
    client.makeUnaryRequest(path, same, same, Buffer.alloc(0), deadline, (error) => {
      console.log(method, status[error?.code ?? 0], error?.details ?? "");
      done();
    });
  });
}
client.close();
