// The manager process beside this agent, over its unix socket.
import { credentials } from "@grpc/grpc-js";
import { callUnary } from "../../common/grpc/call.js";
import { localChannelOptions } from "../../common/grpc/channel.js";
import type { Timing } from "../../common/timing.js";
import { AdminClient } from "../../proto/gen/admin.js";
import { ControlClient } from "../../proto/gen/control.js";
import type { ManagerAdmin } from "../seams.js";

// Choice: joining waits for a leader, a snapshot and a vote; each may take a request's time.
const JOIN_REQUESTS = 3;

export function localManager(socketPath: string, timing: Timing): ManagerAdmin & { close(): void } {
  const addr = `unix:${socketPath}`;
  const admin = new AdminClient(addr, credentials.createInsecure(), localChannelOptions());
  // On one channel: who has heard that the process is up finds the other service up too.
  const control = new ControlClient(addr, credentials.createInsecure(), {
    channelOverride: admin.getChannel(),
  });
  const short = { addr: "the manager process", timeoutMs: timing.requestMs };
  const long = { ...short, timeoutMs: JOIN_REQUESTS * timing.requestMs };
  return {
    control: () => control,
    init: (request) => callUnary(admin.init.bind(admin), request, long),
    join: (request) => callUnary(admin.join.bind(admin), request, long),
    setIdentity: ({ key, certificate, root }) =>
      callUnary(
        admin.setIdentity.bind(admin),
        {
          certificate: Buffer.from(certificate),
          privateKey: Buffer.from(key),
          rootCaCert: Buffer.from(root),
        },
        short,
      ),
    status: () => callUnary(admin.status.bind(admin), {}, short),
    leave: (force) => callUnary(admin.leave.bind(admin), { force }, long),
    close: () => admin.close(),
  };
}
