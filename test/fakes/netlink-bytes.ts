// Netlink messages as bytes: what was captured, and what a writer wrote.
import { eachMessage, type NetlinkMessage } from "../../agent/netlink/message.js";
import { NetlinkWriter } from "../../agent/netlink/writer.js";

export function messagesOf(bytes: Buffer): readonly NetlinkMessage[] {
  const messages: NetlinkMessage[] = [];
  eachMessage(bytes, bytes.length, (message) => messages.push(message));
  return messages;
}

/** The first. */
export function messageIn(bytes: Buffer): NetlinkMessage {
  const [message] = messagesOf(bytes);
  if (message === undefined) throw new Error("no message");
  return message;
}

export function written(write: (writer: NetlinkWriter) => void): Buffer {
  const writer = new NetlinkWriter();
  write(writer);
  return writer.slice(0, writer.count, 1);
}
