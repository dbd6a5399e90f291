// A port of this machine's loopback that was free a moment ago: the kernel gives no port twice in a row.
import { createServer } from "node:net";

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

/** "host:port". */
export async function freeAddr(): Promise<string> {
  return `127.0.0.1:${await freePort()}`;
}
