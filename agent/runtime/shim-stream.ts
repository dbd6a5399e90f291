// The agent's end of a connection to a supervisor, as a stream for the local API.
import { connect, type Socket } from "node:net";
import { Duplex } from "node:stream";
import { Fault } from "../../common/fault.js";
import { encodeFrame, FrameDecoder, NOTICE, STDIN } from "../task/stdio-frame.js";
import { decodeMessage, encodeMessage, type Notice, type Request } from "./shim-protocol.js";

// Choice: well below what a frame may hold.
const INPUT_BYTES_MAX = 256 * 1024;

/** Connects and asks. Throws a Fault when nobody listens. */
export function openConnection(path: string, request: Request): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    const onError = (error: Error) => reject(new Fault("SHIM_CONNECT", { path }, error));
    socket.once("error", onError);
    socket.once("connect", () => {
      socket.off("error", onError);
      socket.on("error", () => socket.destroy());
      socket.write(encodeMessage(request));
      resolve(socket);
    });
  });
}

export interface ShimStreamOptions {
  readonly tty: boolean;
  readonly stdin: boolean;
  readonly onNotice: (notice: Notice) => void;
  /** Called once, when the supervisor has no more to say or is gone. */
  readonly onEnd: () => void;
  /** Closing the stream leaves the connection, and with it an exec, as it is; output is then discarded. */
  readonly outlivesReader: boolean;
}

/** Readable: raw with a tty, else Docker's frames. Writable: input; ending it ends the input. */
export class ShimStream extends Duplex {
  readonly #decoder = new FrameDecoder();

  constructor(
    private readonly socket: Socket,
    private readonly options: ShimStreamOptions,
  ) {
    // Half-open on purpose: output goes on after the input has ended, and the other way round.
    super({ allowHalfOpen: true });
    socket.on("data", (chunk) => this.#received(chunk));
    socket.once("close", () => {
      if (!this.destroyed) this.push(null);
      options.onEnd();
    });
  }

  request(request: Request): void {
    if (this.socket.writable) this.socket.write(encodeMessage(request));
  }

  override _read(): void {
    this.socket.resume();
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    // An empty frame is the end, so nothing is said of nothing.
    if (!this.options.stdin || !this.socket.writable || chunk.length === 0) {
      done();
      return;
    }
    let at = 0;
    for (; at + INPUT_BYTES_MAX < chunk.length; at += INPUT_BYTES_MAX) {
      this.socket.write(encodeFrame(STDIN, chunk.subarray(at, at + INPUT_BYTES_MAX)));
    }
    this.socket.write(encodeFrame(STDIN, chunk.subarray(at)), () => done());
  }

  override _final(done: () => void): void {
    if (this.options.stdin && this.socket.writable) {
      this.socket.write(encodeFrame(STDIN, Buffer.alloc(0)));
    }
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (this.options.outlivesReader) this.socket.resume();
    else this.socket.destroy();
    done(error);
  }

  #received(chunk: Buffer): void {
    const frames = this.#decoder.push(chunk);
    if (frames === undefined) return void this.socket.destroy();
    for (const { stream, payload } of frames) {
      if (stream === NOTICE) {
        const notice = decodeMessage<Notice>(payload, "event");
        if (notice !== undefined) this.options.onNotice(notice);
        continue;
      }
      if (this.destroyed) continue;
      const goOn = this.push(this.options.tty ? payload : encodeFrame(stream, payload));
      if (!goOn) this.socket.pause();
    }
  }
}
