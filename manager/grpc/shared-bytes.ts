// What many agents are told alike is one object (manager/dispatch/shared-deltas.ts): it is encoded once for all of them.
import { type Assignments, DispatcherService, ManagerMessage } from "../../proto/gen/dispatcher.js";

const encoded = new WeakMap<Assignments, Buffer>();

function bytesOf(message: ManagerMessage): Buffer {
  if (message.message?.$case !== "assignments") return encode(message);
  const { value } = message.message;
  const known = encoded.get(value);
  if (known !== undefined) return known;
  const bytes = encode(message);
  encoded.set(value, bytes);
  return bytes;
}

function encode(message: ManagerMessage): Buffer {
  const bytes = ManagerMessage.encode(message).finish();
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The Dispatcher; messages are not written to after they were sent. */
export const SharedDispatcherService = {
  ...DispatcherService,
  session: { ...DispatcherService.session, responseSerialize: bytesOf },
} as const;
