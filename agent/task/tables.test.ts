// The small decisions of a container: names, signals, references, texts.
import { describe, expect, test } from "vitest";
import { isRefusal } from "../../common/fault.js";
import { seededRandom } from "../../common/random.js";
import { environmentOf } from "./environment.js";
import { hostsText } from "./hosts.js";
import { hostInterfaceName, isInterfaceName, sandboxInterfaceName } from "./interface-name.js";
import { newName } from "./names.js";
import { findByReference } from "./reference.js";
import { exitCodeOf, parseSignal } from "./signals.js";
import { isContainerName } from "./spec.js";
import { encodeFrame, FrameDecoder, PAYLOAD_BYTES_MAX } from "./stdio-frame.js";

describe("a signal", () => {
  const cases = [
    { text: "SIGTERM", want: 15 },
    { text: "term", want: 15 },
    { text: "9", want: 9 },
    { text: "", want: 15 },
    { text: "SIGRTMIN+3", want: 37 },
    { text: "SIGNOSUCH", want: undefined },
    { text: "0", want: undefined },
    { text: "65", want: undefined },
  ];
  for (const { text, want } of cases) {
    test(`"${text}" is ${want}`, () => {
      const signal = parseSignal(text, 15);
      expect(isRefusal(signal) ? undefined : signal).toBe(want);
    });
  }

  test("gives an exit code of 128 and its number", () => {
    expect(exitCodeOf(null, "SIGKILL")).toBe(137);
    expect(exitCodeOf(5, null)).toBe(5);
  });
});

describe("a reference", () => {
  const items = [
    { id: "abc1", name: "web" },
    { id: "abd2", name: "abc" },
    { id: "ffff", name: "ff" },
  ];
  const cases = [
    { ref: "abc1", want: "abc1" },
    { ref: "/web", want: "abc1" },
    // A name goes before the beginning of an id.
    { ref: "abc", want: "abd2" },
    { ref: "abd", want: "abd2" },
    { ref: "ab", want: "several" },
    { ref: "x", want: "none" },
    { ref: "", want: "none" },
  ];
  for (const { ref, want } of cases) {
    test(`"${ref}" means ${want}`, () => {
      const found = findByReference(
        items,
        ref,
        ({ id }) => id,
        ({ name }) => name,
      );
      expect(found.kind === "one" ? found.item.id : found.kind).toBe(want);
    });
  }
});

describe("an interface name", () => {
  test("is cut to the kernel's 15 bytes and numbered", () => {
    expect(hostInterfaceName("overnet", new Set())).toBe("sk-overnet");
    expect(hostInterfaceName("a-very-long-network-name", new Set())).toBe("sk-a-very-long-");
    expect(hostInterfaceName("a-very-long-network-name", new Set(["sk-a-very-long-"]))).toBe(
      "sk-a-very-long2",
    );
    expect(hostInterfaceName("über/netz", new Set())).toBe("sk--ber-netz");
    expect(sandboxInterfaceName(new Set(["lo", "eth0", "eth2"]))).toBe("eth1");
  });

  test.each(["", "a b", "a/b", "a:b", "..", "sixteen-letters-", "eth%d"])("is not %j", (name) => {
    expect(isInterfaceName(name)).toBe(false);
  });
});

test("a name is unique, and one that Docker would take", () => {
  const random = seededRandom(1);
  const names = new Set<string>();
  for (let i = 0; i < 3_000; i++) {
    const name = newName(random, (wanted) => names.has(wanted));
    expect(names.has(name)).toBe(false);
    expect(isContainerName(name)).toBe(true);
    names.add(name);
  }
});

test("the environment is Docker's defaults and what was asked for", () => {
  const env = ["A=b=c", "HOME=/x", "GONE"];
  expect(environmentOf({ env, hostname: "loom", home: "/root", tty: true })).toEqual({
    PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    HOSTNAME: "loom",
    HOME: "/x",
    TERM: "xterm",
    A: "b=c",
  });
});

test("the own name is at each own address", () => {
  expect(hostsText("loom", ["10.0.1.3/24", "", "fd00::3/64"])).toMatch(
    /ip6-allrouters\n10\.0\.1\.3\tloom\nfd00::3\tloom\n$/,
  );
});

describe("frames", () => {
  test("come out whole, however they are cut", () => {
    const sent = [
      encodeFrame(1, Buffer.from("hello")),
      encodeFrame(2, Buffer.alloc(0)),
      encodeFrame(16, Buffer.from("{}")),
    ];
    const bytes = Buffer.concat(sent);
    for (let size = 1; size <= bytes.length; size++) {
      const decoder = new FrameDecoder();
      const got: string[] = [];
      for (let at = 0; at < bytes.length; at += size) {
        for (const { stream, payload } of decoder.push(bytes.subarray(at, at + size)) ?? []) {
          got.push(`${stream}:${payload.toString()}`);
        }
      }
      expect(got).toEqual(["1:hello", "2:", "16:{}"]);
    }
  });

  test("that are none are refused", () => {
    expect(new FrameDecoder().push(Buffer.from("GET / HTTP/1.1\r\n"))).toBeUndefined();
    const tooLong = Buffer.alloc(8);
    tooLong.writeUInt32BE(PAYLOAD_BYTES_MAX + 1, 4);
    expect(new FrameDecoder().push(tooLong)).toBeUndefined();
  });
});
