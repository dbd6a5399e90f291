// Faults whose message is a sentence for the person who is waiting, and who has not read the source.
import { Fault, type FaultData } from "../../common/fault.js";

export function sentenceFault(
  code: string,
  sentence: string,
  data: FaultData,
  cause?: unknown,
): Fault {
  const fault = new Fault(code, data, cause);
  fault.message = sentence;
  return fault;
}
