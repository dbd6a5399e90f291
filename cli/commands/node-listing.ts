// The columns of `skein node ls`.
import type { Listing } from "../format/listing.js";
import { titleCase } from "../format/units.js";
import { flag, type Json, text } from "../json.js";

/** `info` says which node this is and what root certificate the swarm trusts. */
export function nodeListing(info: Json): Listing<Json> {
  const isSelf = (row: Json) => text(row, "ID") === text(info, "Swarm", "NodeID");
  return {
    typeName: "*node.nodeContext",
    table:
      "{{.ID}} {{if .Self}}*{{else}} {{ end }}\t{{.Hostname}}\t{{.Status}}\t{{.Availability}}\t{{.ManagerStatus}}\t{{.EngineVersion}}",
    quiet: "{{.ID}}",
    headers: {
      ID: "ID",
      Self: "",
      Hostname: "HOSTNAME",
      Status: "STATUS",
      Availability: "AVAILABILITY",
      ManagerStatus: "MANAGER STATUS",
      EngineVersion: "ENGINE VERSION",
      TLSStatus: "TLS STATUS",
    },
    fields: (row) => ({
      ID: () => text(row, "ID"),
      Self: () => isSelf(row),
      Hostname: () => text(row, "Description", "Hostname"),
      Status: () => titleCase(text(row, "Status", "State")),
      Availability: () => titleCase(text(row, "Spec", "Availability")),
      ManagerStatus: () => managerStatus(row),
      EngineVersion: () => text(row, "Description", "Engine", "EngineVersion"),
      TLSStatus: () => tlsStatus(row, info),
    }),
  };
}

function managerStatus(row: Json): string {
  if (flag(row, "ManagerStatus", "Leader")) return "Leader";
  return titleCase(text(row, "ManagerStatus", "Reachability"));
}

const TLS_FIELDS = ["TrustRoot", "CertIssuerSubject", "CertIssuerPublicKey"] as const;

/** A node whose certificate is of an older root must renew it. */
function tlsStatus(row: Json, info: Json): string {
  const swarm = (name: string) => text(info, "Swarm", "Cluster", "TLSInfo", name);
  const node = (name: string) => text(row, "Description", "TLSInfo", name);
  if (TLS_FIELDS.some((name) => swarm(name) === "" || node(name) === "")) return "Unknown";
  const same = TLS_FIELDS.every((name) => swarm(name) === node(name));
  return same ? "Ready" : "Needs Rotation";
}
