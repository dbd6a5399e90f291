import { describe, expect, test } from "vitest";
import { Network } from "../../proto/gen/types.js";
import type { Container } from "../seams.js";
import { EMPTY_SPEC } from "../task/container-spec.js";
import { containerFilters, isWanted } from "./container-filters.js";

const WEB = {
  id: "abc123",
  spec: {
    ...EMPTY_SPEC,
    name: "web",
    image: "nginx:latest",
    labels: { tier: "front" },
    exposed: ["80/tcp", "53/udp"],
  },
  state: "running",
  exitCode: 0,
  endpoints: [{ network: Network.create({ id: "n1", spec: { name: "overnet" } }) }],
  imageId: `sha256:${"d1".repeat(32)}`,
  health: undefined,
  ports: [{ containerPort: 80, protocol: "tcp", hostPort: 8080, hostIp: "" }],
  mountPoints: [{ name: "data", source: "/state/data", mount: { target: "/var/lib" } }],
} as unknown as Container;

describe("a container is meant by", () => {
  const cases: { filters: Record<string, string[]>; wanted: boolean }[] = [
    { filters: {}, wanted: true },
    { filters: { id: ["abc"] }, wanted: true },
    { filters: { name: ["we"] }, wanted: true },
    { filters: { status: ["exited"] }, wanted: false },
    { filters: { status: ["exited", "running"] }, wanted: true },
    { filters: { exited: ["0"] }, wanted: false },
    { filters: { ancestor: ["nginx"] }, wanted: true },
    { filters: { ancestor: ["d1d1"] }, wanted: true },
    { filters: { ancestor: ["d1"] }, wanted: false },
    { filters: { health: ["none"] }, wanted: true },
    { filters: { "is-task": ["true"] }, wanted: false },
    { filters: { expose: ["80"] }, wanted: true },
    { filters: { expose: ["50-60/udp"] }, wanted: true },
    { filters: { expose: ["50-60"] }, wanted: false },
    { filters: { publish: ["80"] }, wanted: true },
    { filters: { publish: ["53/udp"] }, wanted: false },
    { filters: { volume: ["data"] }, wanted: true },
    { filters: { volume: ["/var/lib"] }, wanted: true },
    { filters: { label: ["tier=front"] }, wanted: true },
    { filters: { label: ["tier=back"] }, wanted: false },
    { filters: { network: ["overnet"] }, wanted: true },
    { filters: { network: ["n1", "other"] }, wanted: true },
    { filters: { network: ["other"] }, wanted: false },
    { filters: { name: ["web"], network: ["other"] }, wanted: false },
  ];
  for (const { filters, wanted } of cases) {
    const text = JSON.stringify(filters);
    test(`${text}: ${wanted}`, () => {
      expect(isWanted(WEB, containerFilters(text))).toBe(wanted);
    });
  }
});

describe("refused is", () => {
  const cases: { filters: Record<string, string[]>; says: RegExp }[] = [
    { filters: { colour: ["red"] }, says: /Invalid filter 'colour'/ },
    { filters: { exited: ["soon"] }, says: /strconv.Atoi: parsing "soon"/ },
    { filters: { status: ["happy"] }, says: /status=happy/ },
    { filters: { health: ["ill"] }, says: /health=ill/ },
    { filters: { "is-task": ["perhaps"] }, says: /is-task/ },
    { filters: { expose: ["1:2"] }, says: /should not contain ':'/ },
    { filters: { publish: ["90-80"] }, says: /looking up for publish/ },
  ];
  for (const { filters, says } of cases) {
    const text = JSON.stringify(filters);
    test(text, () => {
      expect(() => isWanted(WEB, containerFilters(text))).toThrow(says);
    });
  }
});
