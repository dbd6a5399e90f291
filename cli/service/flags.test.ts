import { expect, test } from "vitest";
import { parseBytes, parseNanoCpus, parseUlimit, shellWords } from "../args/quantities.js";
import { parseMount } from "./mount.js";
import { parsePorts } from "./port.js";
import { parseReference } from "./references.js";

const ports = [
  ["80", [[0, 80, "tcp", "ingress"]]],
  ["8080:80", [[8080, 80, "tcp", "ingress"]]],
  ["8080:80/udp", [[8080, 80, "udp", "ingress"]]],
  ["127.0.0.1:8080:80", [[8080, 80, "tcp", "ingress"]]],
  [
    "8080-8081:80-81",
    [
      [8080, 80, "tcp", "ingress"],
      [8081, 81, "tcp", "ingress"],
    ],
  ],
  ["published=8080,target=80,mode=host,protocol=sctp", [[8080, 80, "sctp", "host"]]],
  ["target=80", [[0, 80, "tcp", "ingress"]]],
] as const;
for (const [text, want] of ports) {
  test(`the port ${text}`, () => {
    expect(
      parsePorts(text).map((port) => [
        port.PublishedPort,
        port.TargetPort,
        port.Protocol,
        port.PublishMode,
      ]),
    ).toEqual(want);
  });
}

const wrongPorts = [
  "",
  "0:80",
  "80:70000",
  "x:80",
  "80/icmp",
  "published=80",
  "target=x",
  "mode=odd,target=1",
  "8080-8082:80-81",
];
for (const text of wrongPorts) {
  test(`"${text}" is no port`, () => {
    expect(() => parsePorts(text)).toThrow();
  });
}

const mounts = [
  ["source=data,target=/data", { Type: "volume", Source: "data", Target: "/data" }],
  ["type=bind,src=/a,dst=/b,ro", { Type: "bind", Source: "/a", Target: "/b", ReadOnly: true }],
  [
    "type=tmpfs,target=/t,tmpfs-size=64m,tmpfs-mode=1770",
    { Type: "tmpfs", Target: "/t", TmpfsOptions: { SizeBytes: 67108864, Mode: 0o1770 } },
  ],
  [
    'source=v,target=/v,"volume-opt=o=addr=a,b",volume-driver=local,volume-nocopy',
    {
      Type: "volume",
      Source: "v",
      Target: "/v",
      VolumeOptions: {
        NoCopy: true,
        DriverConfig: { Name: "local", Options: { o: "addr=a,b" } },
      },
    },
  ],
] as const;
for (const [text, want] of mounts) {
  test(`the mount ${text}`, () => {
    expect(parseMount(text)).toEqual(want);
  });
}

const wrongMounts = [
  ["type=bind,target=/b", "source is required"],
  ["source=a", "target is required"],
  ["type=bind,source=/a,target=/b,volume-nocopy", "cannot mix 'volume-*' options"],
  ["target=/b,colour=red", "unexpected key 'colour'"],
  ["target", "must be a key=value pair"],
] as const;
for (const [text, why] of wrongMounts) {
  test(`"${text}" is no mount`, () => {
    expect(() => parseMount(text)).toThrow(why);
  });
}

test("a reference without target is a file of the same name, readable by all", () => {
  const File = { Name: "password", UID: "0", GID: "0", Mode: 0o444 };
  expect(parseReference("password")).toEqual({ source: "password", File });
});

test("a reference with everything", () => {
  const File = { Name: "p", UID: "33", GID: "44", Mode: 0o400 };
  expect(parseReference("source=password,target=p,uid=33,gid=44,mode=0400")).toEqual({
    source: "password",
    File,
  });
});

test("sizes, CPUs, limits and words of a command line", () => {
  expect([parseBytes("64M"), parseBytes("1.5gib"), parseBytes("512"), parseBytes("x")]).toEqual([
    67108864,
    1610612736,
    512,
    undefined,
  ]);
  expect([parseNanoCpus("0.5"), parseNanoCpus("2"), parseNanoCpus("1e3")]).toEqual([
    5e8,
    2e9,
    undefined,
  ]);
  expect(parseUlimit("nofile=1024:2048")).toEqual({ Name: "nofile", Soft: 1024, Hard: 2048 });
  expect(shellWords(`sh -c 'echo "a b"' x\\ y "c\\"d"`)).toEqual([
    "sh",
    "-c",
    'echo "a b"',
    "x y",
    'c"d',
  ]);
  expect(shellWords("sh 'open")).toBeUndefined();
});
