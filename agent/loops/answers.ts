// Which loop answers which question of an inquiry.
import { Refused, refuse, unreachable } from "../../common/fault.js";
import type { Inquiry } from "../../proto/gen/control.js";
import type { Network } from "../../proto/gen/types.js";
import { arrive } from "./arrival.js";
import { captureFrames } from "./capture.js";
import { depart } from "./departure.js";
import type { Answer } from "./inquiries.js";
import { measureRates } from "./rates.js";
import type { TraceTools } from "./trace-steps.js";

export type AnswerTools = TraceTools;

export function answers(tools: AnswerTools): Answer {
  return ({ question }: Inquiry, signal: AbortSignal) => {
    switch (question?.$case) {
      case "capture":
        return captureFrames(
          tools,
          networkHere(tools, question.value.networkId),
          question.value,
          signal,
        );
      case "rates":
        return measureRates(
          tools,
          networkHere(tools, question.value.networkId),
          question.value,
          signal,
        );
      case "departure":
        return depart(tools, question.value, signal);
      case "arrival":
        return arrive(tools, question.value, signal);
      case undefined:
        throw new Refused(refuse("unavailable", "this node's agent is too old to answer that"));
      default:
        return unreachable(question);
    }
  };
}

/** Throws Refused where the network has nothing on this node. */
function networkHere({ member }: AnswerTools, networkId: string): Network {
  const held = member()?.held.current;
  const network = held?.networks.find(({ id }) => id === networkId);
  if (network !== undefined) return network;
  throw new Refused(refuse("not-found", "the network is not on this node: nothing here is on it"));
}
