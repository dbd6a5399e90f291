import { expect, test } from "vitest";
import { type Exchange, type Judgement, judge } from "./offload-test.js";

const cases: { name: string; exchange: Exchange; want: Judgement }[] = [
  { name: "all came back", exchange: { icmp: true, udp: "passed", tcp: "passed" }, want: "fine" },
  {
    name: "datagrams are lost whose checksum the interface makes",
    exchange: { icmp: true, udp: "lost", tcp: "lost" },
    want: "checksum",
  },
  {
    name: "only what the interface cuts is lost",
    exchange: { icmp: true, udp: "passed", tcp: "lost" },
    want: "segmentation",
  },
  {
    name: "the peer is away",
    exchange: { icmp: false, udp: "lost", tcp: "lost" },
    want: "unknown",
  },
  {
    name: "its agent is away",
    exchange: { icmp: true, udp: "refused", tcp: "refused" },
    want: "unknown",
  },
];
for (const { name, exchange, want } of cases) test(name, () => expect(judge(exchange)).toBe(want));
