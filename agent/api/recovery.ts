// /skein/v1/recover, backup and restore: for the night that managers are gone (docs/recovery.md).
import type { RecoverResponse } from "../../proto/gen/admin.js";
import { type Answer, json } from "./answer.js";
import { type Call, queryFlag, queryText } from "./call.js";
import { HttpError, here } from "./http-error.js";
import { type Route, route } from "./router.js";

// As for the largest answer of a manager (common/grpc/channel.ts).
const BACKUP_BYTES_MAX = 128 * 1024 * 1024;

export const RECOVERY_ROUTES: readonly Route[] = [
  route("POST", "/skein/v1/recover", recover),
  route("POST", "/skein/v1/backup", backup),
  route("POST", "/skein/v1/restore", restore),
];

async function backup(call: Call): Promise<Answer> {
  const { file, key, clusterId, index } = here(await call.node.membership.backup());
  return json({ Key: key, ClusterID: clusterId, Index: index, File: file.toString("base64") });
}

/** The body: the key, a newline, the file. Neither a path nor a header carries the key: those are logged by many. */
async function restore(call: Call): Promise<Answer> {
  const body = await wholeUpload(call);
  const end = body.indexOf("\n");
  const restored = here(
    await call.node.membership.restore({
      key: body.subarray(0, Math.max(0, end)).toString("utf8"),
      file: body.subarray(end + 1),
      listenAddr: queryText(call, "listenAddr"),
      advertiseAddr: queryText(call, "advertiseAddr"),
      dataPathAddr: queryText(call, "dataPathAddr"),
      node: queryText(call, "node"),
    }),
  );
  return json({ NodeID: restored.nodeId, New: restored.isNew });
}

async function wholeUpload(call: Call): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of call.upload() as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > BACKUP_BYTES_MAX) throw new HttpError(413, "no backup is as large as that");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

async function recover(call: Call): Promise<Answer> {
  return json(recoveryJson(here(await call.node.membership.recover(queryFlag(call, "plan")))));
}

function recoveryJson({ nodeId, isWhole, index, term, lost, damage, keptAside }: RecoverResponse) {
  return {
    NodeID: nodeId,
    Whole: isWhole,
    Index: index,
    Term: term,
    Lost: lost.map((member) => ({ NodeID: member.nodeId, Addr: member.addr })),
    ...(damage && {
      Damage: { File: damage.file, Offset: damage.offset, KnownLost: damage.knownLost },
    }),
    KeptAside: keptAside,
  };
}
