// Whether what this machine leaves to its network interface (a checksum inside the tunnel, the cutting of large
// segments) is done right: judged by what of a test exchange with a peer came back. Pure.

export type Offload = "checksum" | "segmentation";

/** One exchange on the nodes' own network. */
export interface Exchange {
  /** ICMP echo: its checksum is always made by this machine's processor. */
  readonly icmp: boolean;
  /** Datagrams, whose checksum may be left to the interface. "refused": nobody there answers such tests. */
  readonly udp: "passed" | "lost" | "refused";
  /** A stream of many segments, which the interface may be left to cut. */
  readonly tcp: "passed" | "lost" | "refused";
}

export type Judgement =
  | "fine"
  /** The peer is away, or its agent is: nothing is known. */
  | "unknown"
  | Offload;

export function judge({ icmp, udp, tcp }: Exchange): Judgement {
  if (udp === "passed" && tcp === "passed") return "fine";
  if (!icmp || udp === "refused" || tcp === "refused") return "unknown";
  return udp === "lost" ? "checksum" : "segmentation";
}
