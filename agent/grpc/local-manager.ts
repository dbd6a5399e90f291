// The manager process beside this agent, over its unix socket.
import { credentials } from "@grpc/grpc-js";
import { createCsr } from "../../common/csr.js";
import { isRefusal } from "../../common/fault.js";
import { callUnary } from "../../common/grpc/call.js";
import { localChannelOptions } from "../../common/grpc/channel.js";
import type { Timing } from "../../common/timing.js";
import { AdminClient } from "../../proto/gen/admin.js";
import { ControlClient } from "../../proto/gen/control.js";
import { identityPem } from "../member/identity-pem.js";
import type { ManagerAdmin } from "../seams.js";

// Choice: joining waits for a leader, a snapshot and a vote; each may take a request's time.
const JOIN_REQUESTS = 3;
// Choice: keys change once in months; who asks learns of a process that hangs within a minute.
const KEYS_REQUESTS = 6;

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
    setIdentity: (identity) =>
      callUnary(admin.setIdentity.bind(admin), identityPem(identity), short),
    async renewExpired({ key }) {
      const csr = Buffer.from(await createCsr(key));
      const answer = await callUnary(admin.renewExpired.bind(admin), { csr }, short);
      if (isRefusal(answer)) return answer;
      return { certificate: answer.certificate, root: answer.rootCaCert };
    },
    status: () => callUnary(admin.status.bind(admin), {}, short),
    reports: () => callUnary(admin.reports.bind(admin), {}, short),

    async unheardManagers() {
      const answer = await callUnary(control.listNodes.bind(control), {}, short);
      return isRefusal(answer) ? answer : answer.unheardManagers;
    },
    setAddr: (request) => callUnary(admin.setAddr.bind(admin), request, short),
    confirmSeat: (managers) =>
      callUnary(admin.confirmSeat.bind(admin), { managers: [...managers] }, long),
    recover: (request) => callUnary(admin.recover.bind(admin), request, long),
    backup: () => callUnary(admin.backup.bind(admin), {}, long),
    restore: (request) => callUnary(admin.restore.bind(admin), request, long),
    leave: (force) => callUnary(admin.leave.bind(admin), { force }, long),
    unlock: (unlockKey) =>
      callUnary(admin.unlock.bind(admin), { unlockKey: Buffer.from(unlockKey) }, short),
    keys: (knownVersion, signal) =>
      callUnary(
        admin.keys.bind(admin),
        { knownVersion },
        { ...short, timeoutMs: KEYS_REQUESTS * timing.requestMs, signal },
      ),
    close: () => admin.close(),
  };
}
