// Why the agent could not be reached, as a sentence that says what to do.
import { messageOf } from "../../common/fault.js";
import { Failure } from "../cli.js";

export function connectFailure(error: Error, socketPath: string): Error {
  if (error.name === "AbortError") return error;
  const code = "code" in error ? error.code : undefined;
  const host = `unix://${socketPath}`;
  switch (code) {
    case "ENOENT":
    case "ECONNREFUSED":
    case "ENOTSOCK":
      return new Failure(`Cannot connect to the Skein agent at ${host}. Is skein-agent running?`);
    case "EACCES":
    case "EPERM":
      return new Failure(
        `Permission denied while connecting to the Skein agent at ${host}. ` +
          `The socket is open to root and to the group skein: use sudo, or join the group ` +
          `("sudo usermod -aG skein $USER", then log in again).`,
      );
    case "ECONNRESET":
    case "EPIPE":
      return new Failure(`The Skein agent at ${host} closed the connection: ${error.message}`);
    default:
      return new Failure(`Error while talking to the Skein agent at ${host}: ${error.message}`);
  }
}

/** A body that breaks off is the agent's failing, and said as such. Who closed it himself does not look. */
export async function* reading(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* stream;
  } catch (error) {
    throw new Failure(`The Skein agent closed the connection: ${messageOf(error)}`);
  }
}
