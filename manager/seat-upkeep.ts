// What a running manager is told about its seat, and keeps it with: its own certificate, and where the others are
// reached. Each is refused by one that does not run.
import { isDialable } from "../common/address.js";
import { readCertificate } from "../common/certificates.js";
import { isRefusal, type Refusal, refuse } from "../common/fault.js";
import type {
  AdminStatus,
  Identity,
  RenewExpiredResponse,
  SetAddrRequest,
  SetAddrResponse,
} from "../proto/gen/admin.js";
import { refuseIdentity } from "./ca/manager-identity.js";
import { certificateSigner } from "./certs/authority.js";
import { renewAlone } from "./loops/certify-alone.js";
import { notAManager, type SeatTools } from "./manager-state.js";
import type { Caller, TlsIdentity } from "./seams.js";

/** On its disk before anybody is shown it. */
export async function setIdentity(tls: Identity, tools: SeatTools): Promise<AdminStatus | Refusal> {
  const { state, disk, clock, log } = tools;
  const running = state.running();
  if (isRefusal(running)) return running;
  const refusal = refuseIdentity(tls, clock.nowMs());
  if (refusal) return refusal;
  const facts = readCertificate(tls.certificate);
  const { seat } = running;
  if (facts?.nodeId !== seat.identity.nodeId || facts.clusterId !== seat.identity.clusterId) {
    return refuse("invalid-argument", "the certificate is another node's");
  }
  // An agent that starts does not know what this process has: nobody is to be called again for that.
  const held = await disk.loadTls();
  if (held !== undefined && isSame(held, tls)) return state.status();
  await disk.saveTls(tls);
  seat.renew(tls);
  log.info({ notAfterMs: facts.notAfterMs }, "certificate renewed");
  return state.status();
}

export async function renewExpired(
  csr: Uint8Array,
  { state, disk, clock, random, log }: SeatTools,
): Promise<RenewExpiredResponse | Refusal> {
  const running = state.running();
  if (isRefusal(running)) return running;
  const tls = await disk.loadTls();
  if (!tls) return notAManager();
  const signer = certificateSigner(clock, random);
  const { view } = running.member.store;
  return renewAlone({ csr, ownCertificate: tls.certificate, view, signer, clock, log });
}

/** Another manager's address: for the leader to write down, or without one for this manager alone. */
export async function dialManager(
  { nodeId, addr }: SetAddrRequest,
  caller: Caller,
  { state, log }: SeatTools,
): Promise<SetAddrResponse | Refusal> {
  const running = state.running();
  if (isRefusal(running)) return running;
  const { member } = running;
  if (!isDialable(addr)) return refuse("invalid-argument", `${addr} is not host:port`);
  if (member.leadership.leader().kind !== "none") {
    const written = await member.services.membership.setAddr({ nodeId, addr }, caller);
    if (!isRefusal(written)) return { hereOnly: false };
    if (written.code !== "unavailable") return written;
  }
  const seat = member.consensus.status().members.find((each) => each.nodeId === nodeId);
  if (seat === undefined) return refuse("not-found", `node ${nodeId} is not a manager`);
  member.dial(seat, addr);
  log.info({ node: nodeId, addr }, "nobody leads: dialling a manager elsewhere");
  return { hereOnly: true };
}

function isSame(one: TlsIdentity, other: TlsIdentity): boolean {
  const parts = ["certificate", "privateKey", "rootCaCert"] as const;
  return parts.every((part) => Buffer.compare(one[part], other[part]) === 0);
}
