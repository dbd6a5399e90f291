// `skein node inspect --pretty`, by Docker's own template (docker/cli node/formatter.go), and what Docker does not
// know of a node: how its clock stands, and whether it came back with a certificate that was over.

import { render } from "../../common/template/evaluate.js";
import { GoTime, show } from "../../common/template/value.js";
import { bytesSize, titleCase } from "../format/units.js";
import { at, flag, items, type Json, number, object, text } from "../json.js";

const PAGE = `ID:			{{.ID}}
{{- if .Name }}
Name:			{{.Name}}
{{- end }}
{{- if .Labels }}
Labels:
{{- range $k, $v := .Labels }}
 - {{ $k }}{{if $v }}={{ $v }}{{ end }}
{{- end }}{{ end }}
Hostname:              	{{.Hostname}}
Joined at:             	{{.CreatedAt}}
Status:
 State:			{{.State}}
 {{- if .Message}}
 Message:              	{{.Message}}
 {{- end}}
 Availability:         	{{.Availability}}
 {{- if .Addr}}
 Address:		{{.Addr}}
 {{- end}}
 {{- if .Clock}}
 Clock:			{{.Clock}}
 {{- end}}
 {{- if .ExpiredAt}}
 Certificate:		renewed at {{.RenewedAt}}, after it was over at {{.ExpiredAt}}
 {{- end}}
{{- if .IsManager}}
Manager Status:
 Address:		{{.ManagerAddr}}
 Raft Status:		{{.Reachability}}
 {{- if .IsLeader}}
 Leader:		Yes
 {{- else}}
 Leader:		No
 {{- end}}
{{- end}}
Platform:
 Operating System:	{{.OS}}
 Architecture:		{{.Architecture}}
Resources:
 CPUs:			{{.Cpus}}
 Memory:		{{.Memory}}
{{- if .Plugins}}
Plugins:
{{- range $type, $names := .Plugins }}
 {{ $type }}:		{{ $names }}
{{- end }}
{{- end }}
Engine Version:		{{.EngineVersion}}
{{- if .EngineLabels }}
Engine Labels:
{{- range $k, $v := .EngineLabels }}
 - {{ $k }}{{if $v }}={{ $v }}{{ end }}
{{- end }}{{- end }}
{{- if .TrustRoot}}
TLS Info:
 TrustRoot:
{{.TrustRoot}}
 Issuer Subject:	{{.IssuerSubject}}
 Issuer Public Key:	{{.IssuerPublicKey}}
{{- end}}
`;

export function prettyNode(node: Json): string {
  const description = at(node, "Description");
  return render(PAGE, {
    ID: text(node, "ID"),
    Name: text(node, "Spec", "Name"),
    Labels: object(at(node, "Spec", "Labels")),
    Hostname: text(description, "Hostname"),
    CreatedAt: show(new GoTime(text(node, "CreatedAt"))).toLowerCase(),
    State: titleCase(text(node, "Status", "State")),
    Message: titleCase(text(node, "Status", "Message")),
    Availability: titleCase(text(node, "Spec", "Availability")),
    Addr: text(node, "Status", "Addr"),
    Clock: clockWords(at(node, "ClockSkewMs")),
    ExpiredAt: timeOf(node, "ExpiredAt"),
    RenewedAt: timeOf(node, "RenewedAt"),
    IsManager: Object.keys(object(at(node, "ManagerStatus"))).length > 0,
    ManagerAddr: text(node, "ManagerStatus", "Addr"),
    Reachability: titleCase(text(node, "ManagerStatus", "Reachability")),
    IsLeader: flag(node, "ManagerStatus", "Leader"),
    OS: text(description, "Platform", "OS"),
    Architecture: text(description, "Platform", "Architecture"),
    Cpus: Math.floor(number(description, "Resources", "NanoCPUs") / 1e9),
    Memory: bytesSize(number(description, "Resources", "MemoryBytes")),
    Plugins: pluginsByType(items(description, "Engine", "Plugins")),
    EngineVersion: text(description, "Engine", "EngineVersion"),
    EngineLabels: object(at(description, "Engine", "Labels")),
    TrustRoot: text(description, "TLSInfo", "TrustRoot"),
    IssuerSubject: text(description, "TLSInfo", "CertIssuerSubject"),
    IssuerPublicKey: text(description, "TLSInfo", "CertIssuerPublicKey"),
  });
}

/** Empty: nobody has compared it with the leader's lately. */
function clockWords(skewMs: Json): string {
  if (typeof skewMs !== "number") return "";
  const ms = Math.abs(Math.round(skewMs));
  if (ms === 0) return "as the leader's";
  const off = ms < 1_000 ? `${ms} ms` : `${(ms / 1_000).toFixed(1)} s`;
  return `${off} ${skewMs > 0 ? "ahead of" : "behind"} the leader's`;
}

function timeOf(node: Json, name: string): string {
  const time = text(node, "ExpiredRenewal", name);
  return time === "" ? "" : show(new GoTime(time)).toLowerCase();
}

function pluginsByType(plugins: readonly Json[]): Record<string, string> {
  const names: Record<string, string> = {};
  for (const plugin of plugins) {
    const type = text(plugin, "Type");
    const name = text(plugin, "Name");
    names[type] = names[type] === undefined ? name : `${names[type]}, ${name}`;
  }
  return names;
}
