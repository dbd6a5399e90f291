// The text that wireguard-go takes and gives on its unix socket (wireguard.com/xplatform, "Configuration Protocol"):
// lines of key=value, keys of keys in hex, an empty line at the end; "errno=0" is success.
import {
  bitsOf,
  formatHostPort,
  formatIp,
  parseHostPort,
  parseIp,
  parsePrefix,
} from "../../common/address.js";
import type { DeviceChange, PeerChange, WireguardDevice, WireguardPeer } from "./wireguard.js";
import { keyBytes, publicKeyOf } from "./wireguard-key.js";

export const GET = "get=1\n\n";
/** What an answer ends with. */
export const END = "\n\n";

export function encodeSet({ privateKey, port, peers }: DeviceChange): string {
  const lines = ["set=1"];
  if (privateKey !== undefined)
    lines.push(`private_key=${Buffer.from(privateKey).toString("hex")}`);
  if (port !== undefined) lines.push(`listen_port=${port}`);
  for (const peer of peers) lines.push(...peerLines(peer));
  return `${lines.join("\n")}${END}`;
}

function peerLines(peer: PeerChange): readonly string[] {
  const name = `public_key=${hex(peer.publicKey)}`;
  if (peer.kind === "remove") return [name, "remove=true"];
  const { endpoint, port, address } = peer;
  const lines = [name, `endpoint=${formatHostPort({ host: formatIp(endpoint), port })}`];
  if (address === undefined) return lines;
  const allowed = `allowed_ip=${formatIp(address)}/${bitsOf(address.family)}`;
  return [...lines, "replace_allowed_ips=true", allowed];
}

function hex(key: string): string {
  return (keyBytes(key) ?? Buffer.alloc(32)).toString("hex");
}

/** The errno that an answer ends with, positive; undefined: it is not a whole answer. */
export function decodeErrno(text: string): number | undefined {
  const match = /(?:^|\n)errno=(-?\d{1,9})\n\n$/.exec(text);
  return match === null ? undefined : Math.abs(Number(match[1]));
}

type Draft = { -readonly [K in keyof WireguardPeer]: WireguardPeer[K] } & { allowed: string[] };

/** What `get=1` answers; undefined: it is not a whole answer, or a failure. Lines that are not known are passed over. */
export function decodeGet(text: string): WireguardDevice | undefined {
  if (decodeErrno(text) !== 0) return undefined;
  const peers = new Map<string, Draft>();
  let publicKey = "";
  let port = 0;
  let peer: Draft | undefined;
  for (const line of text.split("\n")) {
    const at = line.indexOf("=");
    const [key, value] = [line.slice(0, at), line.slice(at + 1)];
    if (key === "private_key") publicKey = openKey(value);
    else if (key === "listen_port") port = number(value);
    else if (key === "public_key") {
      peer = { endpoint: "", allowed: [], handshakeMs: 0, sentBytes: 0, receivedBytes: 0 };
      if (HEX_KEY.test(value)) peers.set(Buffer.from(value, "hex").toString("base64"), peer);
    } else if (peer !== undefined) readPeer(peer, key, value);
  }
  return { publicKey, port, peers };
}

const HEX_KEY = /^[0-9a-f]{64}$/;

function openKey(hexKey: string): string {
  if (!HEX_KEY.test(hexKey) || /^0+$/.test(hexKey)) return "";
  return publicKeyOf(Buffer.from(hexKey, "hex"));
}

function readPeer(peer: Draft, key: string, value: string): void {
  if (key === "endpoint") peer.endpoint = endpointText(value);
  else if (key === "allowed_ip" && parsePrefix(value) !== undefined) peer.allowed.push(value);
  else if (key === "last_handshake_time_sec") peer.handshakeMs += number(value) * 1_000;
  else if (key === "last_handshake_time_nsec") peer.handshakeMs += Math.floor(number(value) / 1e6);
  else if (key === "tx_bytes") peer.sentBytes = number(value);
  else if (key === "rx_bytes") peer.receivedBytes = number(value);
}

/** In the one form that is compared. */
function endpointText(text: string): string {
  const found = parseHostPort(text, 0);
  const ip = found && parseIp(found.host);
  return ip ? formatHostPort({ host: formatIp(ip), port: found.port }) : "";
}

function number(text: string): number {
  return /^\d{1,15}$/.test(text) ? Number(text) : 0;
}
