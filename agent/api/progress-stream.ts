// Work that reports while it goes on (pull, push, load), as a stream of JSON lines. What fails before the
// first line is an ordinary error; later it is the last line, as in dockerd.
import { isRefusal, type Refusal } from "../../common/fault.js";
import type { Progress } from "../seams.js";
import { type Answer, stream } from "./answer.js";
import type { Call } from "./call.js";
import { httpErrorOf, refusedHere } from "./http-error.js";

// Choice: a client that reads more slowly than this much behind misses steps of progress, not outcomes.
const LINES_MAX = 1_000;

export async function progressStream(
  call: Call,
  work: (report: (progress: Progress) => void) => Promise<Refusal | undefined>,
): Promise<Answer> {
  const lines = new Lines();
  const done = work((progress) => lines.push(progress)).then(
    (refusal) => (isRefusal(refusal) ? refusedHere(refusal) : undefined),
    (error: unknown) => {
      if (!call.signal.aborted) call.log.warn({ err: String(error) }, "an image's work failed");
      return httpErrorOf(error);
    },
  );
  const ended = done.then((failure) => {
    lines.end();
    return failure;
  });
  await lines.some();
  if (lines.isEmpty) {
    const failure = await ended;
    if (failure !== undefined) throw failure;
  }
  async function* chunks() {
    yield* lines.texts();
    const failure = await ended;
    if (failure === undefined) return;
    const { message } = failure;
    yield line({ errorDetail: { message }, error: message });
  }
  return stream("application/json", chunks());
}

function line(value: object): string {
  return `${JSON.stringify(value)}\r\n`;
}

class Lines {
  readonly #waiting: Progress[] = [];
  #ended = false;
  #wake: (() => void) | undefined;

  push(progress: Progress): void {
    const isStep = progress.progressDetail?.current !== undefined;
    if (this.#waiting.length >= LINES_MAX && isStep) return;
    this.#waiting.push(progress);
    this.#wake?.();
  }

  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  /** Resolves when there is a line, or there will be none. */
  async some(): Promise<void> {
    while (this.isEmpty && !this.#ended) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async *texts(): AsyncGenerator<string> {
    for (;;) {
      await this.some();
      if (this.isEmpty) return;
      yield this.#waiting.splice(0).map(line).join("");
    }
  }
}
