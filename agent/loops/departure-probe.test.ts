import { expect, test } from "vitest";
import { TraceProtocol, TraceVerdict } from "../../proto/gen/control.js";
import type { ProbeOutcome } from "../seams.js";
import { leftSteps, outcomeStep } from "./departure-probe.js";

const TO = "10.0.1.3";
const { ICMP, TCP, UDP } = TraceProtocol;
const outcomes: {
  readonly name: string;
  readonly protocol: TraceProtocol;
  readonly outcome: ProbeOutcome;
  readonly verdict: TraceVerdict;
  readonly what: string;
}[] = [
  {
    name: "an echo is as long as the kernel says",
    protocol: ICMP,
    outcome: { kind: "answered", why: "", afterUs: 1_234 },
    verdict: TraceVerdict.PASS,
    what: "10.0.1.3 answered ICMP echo after 1.23 ms.",
  },
  {
    name: "of a connection it is known when one looked",
    protocol: TCP,
    outcome: { kind: "answered", why: "", afterUs: 1_234 },
    verdict: TraceVerdict.PASS,
    what: "10.0.1.3 answered TCP port 80 after at most 2 ms.",
  },
  {
    name: "a refusal stops the flow",
    protocol: TCP,
    outcome: { kind: "refused", why: "", afterUs: 900 },
    verdict: TraceVerdict.STOP,
    what: "TCP port 80 to 10.0.1.3 was refused after at most 1 ms.",
  },
  {
    name: "a failure says why",
    protocol: UDP,
    outcome: { kind: "failed", why: "no route", afterUs: 0 },
    verdict: TraceVerdict.STOP,
    what: "UDP port 80 to 10.0.1.3 failed: no route.",
  },
  {
    name: "a connection that nobody answers is stopped somewhere",
    protocol: TCP,
    outcome: { kind: "silent", why: "", afterUs: 0 },
    verdict: TraceVerdict.STOP,
    what: "Nothing answered TCP port 80 to 10.0.1.3.",
  },
  {
    name: "who gets a datagram need not answer",
    protocol: UDP,
    outcome: { kind: "silent", why: "", afterUs: 0 },
    verdict: TraceVerdict.DOUBT,
    what: "Nothing answered UDP port 80 to 10.0.1.3.",
  },
];
for (const { name, protocol, outcome, verdict, what } of outcomes) {
  test(name, () => {
    const flow = { from: "10.0.1.2", to: new Set([TO]), protocol, port: 80 };
    expect(outcomeStep(outcome, flow, TO, undefined)).toMatchObject({ verdict, what });
  });
}

test("a probe that did not come out of its sandbox is doubtful, for it may not have been seen", () => {
  const [step, ...more] = leftSteps({ chosen: undefined, sent: undefined }, undefined);
  expect(step?.verdict).toBe(TraceVerdict.DOUBT);
  expect(more).toEqual([]);
});

test("a probe is followed to the port, and from there to the wire", () => {
  const sent = { device: "eth1", to: "192.0.2.2" };
  const facts = leftSteps({ chosen: TO, sent }, undefined).map((step) => step.facts);
  expect(facts).toEqual([
    { where: "port", chosen: TO },
    { where: "underlay", device: "eth1", vtep: "192.0.2.2" },
  ]);
});
