// Commands that look at a network and change nothing.
import type { Command } from "../command.js";
import { bool } from "./shared.js";

const PING_HELP = `Ping everything on a network from everything on it

Every endpoint of the network pings every other, and the machines under it ping each other. Prints
a matrix of round-trip times and losses for both, one for each address family that the network has.
On a terminal it is drawn again as results come; one that is wider than the window has a line for
each endpoint. No request is cut to fragments: one too large for the MTU is told to be so.

The exit code is 1 when any pair heard nothing or a node did not answer, and 130 after Ctrl-C, which
shows what is known until then.

  skein ping overnet
  skein ping --from h2 --size 1422 overnet
  skein ping --json overnet`;

const CAPTURE_HELP = `Show or write the frames of a network

Shows the frames that endpoints on this node, or on the one that --host names, send and get on a
network, one line for each; with -w they are written as pcap for tcpdump and Wireshark, to a file
that only its owner can read, or to standard output. The frames are the inner ones, as they are in
the network's bridge, whichever data path carries them. Each is there once.

What follows the network is a filter in tcpdump's words: arp, ip, ip6, tcp, udp, sctp, icmp, icmp6,
broadcast, multicast, vlan, host ADDRESS, port PORT, ether MAC, each of these three after src or
dst if wanted, joined by and, or, not. Frames that there was no room for are counted at the end.

  skein capture overnet
  skein capture overnet tcp and port 80 and not host 10.0.1.3
  skein capture -w web.pcap --count 1000 --host h2 overnet
  skein capture -w - overnet | tcpdump -n -r -`;

const TRACE_HELP = `Say how a flow fares from one end to the other, and where it stops

SRC is a container, a task, a service (one of its tasks), an address or a node; DST is one of these,
or any name or address that SRC would use. With a port, a connection is opened and closed at once
(TCP) or an empty datagram sent (PORT/udp); without one, it is a ping.

Each decision on the way is shown as the kernel's tables hold it: the name and the virtual address
in the sandbox of SRC, its route, the bridge's port and rows, the VXLAN row and the underlay's
route; on the node of DST its rows, its policy and who listens. Then the probe is sent, and shown
wherever it is seen. The last line says where it stops, and why. Needs a manager.

The exit code is 0 when the probe was answered, else 1.

  skein trace web.1 db:5432
  skein trace web 10.0.1.9:53/udp
  skein trace h1 h2`;

export const watchingCommands: readonly Command[] = [
  {
    path: "ping",
    usage: "[OPTIONS] NETWORK",
    about: "Ping everything on a network from everything on it",
    explain: PING_HELP,
    args: { min: 1, max: 1 },
    words: "networks",
    example: "skein ping overnet",
    flags: [
      { name: "count", short: "c", type: "uint", fallback: "3", about: "Echo requests a pair" },
      { name: "from", type: "string", about: "Only from this node", words: "nodes" },
      bool("json", "Print each result as a line of JSON"),
      { name: "size", short: "s", type: "uint", fallback: "56", about: "Bytes of data a request" },
      {
        name: "timeout",
        short: "W",
        type: "duration",
        fallback: "1s",
        about: "How long to wait for each answer (ms|s)",
      },
    ],
    load: async () => (await import("../commands/ping.js")).ping,
  },
  {
    path: "capture",
    usage: "[OPTIONS] NETWORK [FILTER...]",
    about: "Show or write the frames of a network",
    explain: CAPTURE_HELP,
    args: { min: 1, max: Number.POSITIVE_INFINITY },
    words: "networks",
    example: "skein capture -w web.pcap overnet tcp port 80",
    flags: [
      {
        name: "count",
        short: "c",
        type: "uint",
        fallback: "0",
        about: "End after this many frames (0: with Ctrl-C)",
      },
      {
        name: "host",
        type: "string",
        about: "Node whose frames are meant (default: this one)",
        words: "nodes",
      },
      {
        name: "snaplen",
        type: "uint",
        fallback: "262144",
        about: "Bytes of each frame that are kept",
      },
      {
        name: "write",
        short: "w",
        type: "string",
        about: "Write pcap to this file (- for standard output)",
      },
    ],
    load: async () => (await import("../commands/capture.js")).capture,
  },
  {
    path: "trace",
    usage: "[OPTIONS] SRC DST[:PORT[/tcp|udp]]",
    about: "Say how a flow fares from one end to the other, and where it stops",
    explain: TRACE_HELP,
    args: { min: 2, max: 2 },
    words: "containers",
    example: "skein trace web.1 db:5432",
    flags: [
      bool("json", "Print each step as a line of JSON"),
      {
        name: "timeout",
        short: "W",
        type: "duration",
        fallback: "2s",
        about: "How long to wait for an answer (ms|s)",
      },
    ],
    load: async () => (await import("../commands/trace.js")).trace,
  },
];
