// Where services on real daemons mean to answer otherwise than the dockerd of the transcripts, beside what
// test/contract/api-differences.ts says of the API alone; each with its reason.
import { meant } from "../contract/api-differences.js";
import type { Ran } from "../contract/api-lab.js";
import type { Transcript } from "../contract/transcript.js";

interface Difference {
  readonly why: string;
  readonly ran: (dockerd: Ran) => Ran;
}

const DIFFERENCES: Readonly<Record<string, Difference>> = {
  "service-logs-secret": {
    why: "The tmpfs of a secret is as large as it must be, and nobody else's; its options say so",
    ran: (ran) => ({
      ...ran,
      stdout: ran.stdout.replace("(ro,relatime)", "(ro,relatime,size=196k,mode=700)"),
    }),
  },
};

/** What Skein is to answer on a lab. */
export function meantOfServices(transcript: Transcript): Ran {
  const ran = meant(transcript);
  return DIFFERENCES[transcript.name]?.ran(ran) ?? ran;
}
