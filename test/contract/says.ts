// One step of a transcript, said again to a stage: a fake swarm behind a real socket, or a lab of daemons.
// The CLI's exit code, standard output and standard error must be the transcript's, or what is meant instead.
import { expect, test } from "vitest";
import type { Ran } from "./api-lab.js";
import { isTooOldFor, saysTheSameWords } from "./docker-client.js";
import { readTranscript, type Transcript } from "./transcript.js";

export interface Stage {
  run(host: string, args: readonly string[], stdin: string): Promise<Ran>;
  /** The transcript's words as they are here: tokens, addresses, images, files. */
  argsOf(transcript: Transcript): readonly string[] | Promise<readonly string[]>;
  /** What is to be answered: the transcript's, but for what is meant to be otherwise. */
  meant(transcript: Transcript): Ran;
  /** What is another on every run, replaced. */
  comparable(text: string, transcript: Transcript): string;
  /** How long a question may be asked again until its answer is right; 0: it is right at once. */
  readonly patienceMs: number;
}

const PAUSE_MS = 250;

export interface Speaker {
  /** A command that is said once. */
  says(name: string, timeoutMs?: number): void;
  /** A question, asked until the swarm is as the transcript has it. */
  shows(name: string, timeoutMs?: number): void;
}

export function speakerTo(stage: Stage): Speaker {
  const step = (name: string, timeoutMs: number, patienceMs: number) =>
    test(
      name,
      async ({ skip }) => {
        const transcript = readTranscript(name);
        const want = comparable(stage, transcript, stage.meant(transcript));
        const endMs = Date.now() + patienceMs;
        for (;;) {
          const args = await stage.argsOf(transcript);
          const ran = await stage.run(transcript.host, args, transcript.stdin);
          if (isTooOldFor(ran.stderr)) {
            // Said in another way, because what comes after stands on it.
            const older = inOlderWords(args);
            if (older === undefined) return skip("this client has no such flag");
            const again = await stage.run(transcript.host, older, transcript.stdin);
            expect(again.exitCode, again.stderr).toBe(want.exitCode);
            return;
          }
          const have = comparable(stage, transcript, ran);
          const same = JSON.stringify(have) === JSON.stringify(want);
          if (!same && Date.now() < endMs) {
            await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
            continue;
          }
          expect(ran.exitCode, ran.stderr).toBe(want.exitCode);
          if (saysTheSameWords) expect(have).toEqual(want);
          return;
        }
      },
      timeoutMs + patienceMs,
    );
  return {
    says: (name, timeoutMs = 20_000) => step(name, timeoutMs, 0),
    shows: (name, timeoutMs = 20_000) => step(name, timeoutMs, stage.patienceMs),
  };
}

function comparable(stage: Stage, transcript: Transcript, { exitCode, stdout, stderr }: Ran): Ran {
  return {
    exitCode,
    stdout: stage.comparable(stdout, transcript).trimEnd(),
    stderr: stage.comparable(stderr, transcript).trimEnd(),
  };
}

/** A stack was always deployed in the background before there was a flag to say so. */
function inOlderWords(args: readonly string[]): readonly string[] | undefined {
  const less = args.filter((arg) => !arg.startsWith("--detach"));
  return less.length < args.length ? less : undefined;
}
