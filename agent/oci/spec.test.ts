import { expect, test } from "vitest";
import { isRefusal } from "../../common/fault.js";
import { EMPTY_SPEC } from "../task/container-spec.js";
import { capabilitiesOf } from "./capabilities.js";
import { mountsOf, rootPropagation } from "./mounts.js";
import { resourcesOf } from "./resources.js";
import { customSeccomp, defaultSeccomp, type Machine } from "./seccomp.js";
import { containerSpecOf, execProcessOf, type SpecWish, specJson } from "./spec.js";
import { startErrorOf } from "./start-error.js";
import { sysctlsOf } from "./sysctls.js";
import { findUser } from "./users.js";

const machine: Machine = { architecture: "amd64", kernel: [6, 1] };
const wish: SpecWish = {
  id: "c1",
  spec: { ...EMPTY_SPEC, command: ["sleep", "1"] },
  hostname: "h",
  user: { uid: 0, gid: 0, groups: [], home: "/root" },
  netns: "/run/netns/n",
  machineNetns: undefined,
  mountPoints: [],
  files: [],
  cgroupsPath: "/skein/c1",
  support: { version: 2, swap: true },
  machine,
};

/** Bit by bit, as /proc/PID/status shows them. */
function mask(names: readonly string[]): string {
  const all = capabilitiesOf(["ALL"], []);
  if (isRefusal(all)) throw new Error(all.message);
  const bits = names.map((name) => 1n << BigInt(all.indexOf(name)));
  return bits.reduce((sum, bit) => sum | bit, 0n).toString(16);
}

test.each([
  ["Docker's own", [], [], "a80425fb"],
  ["all", ["ALL"], [], "1ffffffffff"],
  ["none", [], ["all"], "0"],
  ["none but one", ["net_admin"], ["ALL"], "1000"],
  ["one more and one less", ["CAP_SYS_PTRACE"], ["MKNOD"], "a00c25fb"],
])("capabilities: %s", (_name, add, drop, want) => {
  const found = capabilitiesOf(add, drop);
  expect(isRefusal(found) ? found.message : mask(found)).toBe(want);
});

test("a capability that there is not is refused in Docker's words", () => {
  expect(capabilitiesOf(["CAP_FLY"], [])).toMatchObject({
    message: 'invalid CapAdd: unknown capability: "CAP_FLY"',
  });
});

test("seccomp: rows hold by architecture, kernel and capability", () => {
  const allowed = (at: Machine, capabilities: string[]) =>
    new Set(
      defaultSeccomp(at, capabilities)
        .syscalls.filter(({ action, args }) => action === "SCMP_ACT_ALLOW" && args === undefined)
        .flatMap(({ names }) => names),
    );
  const plain = allowed(machine, []);
  expect(plain.has("read") && plain.has("arch_prctl") && plain.has("ptrace")).toBe(true);
  expect(plain.has("unshare") || plain.has("mount") || plain.has("clone3")).toBe(false);
  expect(plain.has("io_uring_setup") || plain.has("set_tls")).toBe(false);
  expect(allowed({ ...machine, kernel: [4, 7] }, []).has("ptrace")).toBe(false);
  expect(allowed({ ...machine, architecture: "arm64" }, []).has("set_tls")).toBe(true);
  const admin = allowed(machine, ["CAP_SYS_ADMIN"]);
  expect(admin.has("unshare") && admin.has("clone") && admin.has("clone3")).toBe(true);
  const rules = defaultSeccomp(machine, []).syscalls;
  expect(rules.find(({ names }) => names.includes("clone3"))).toMatchObject({ errnoRet: 38 });
});

test("a seccomp profile of one's own, with Docker's conditions", () => {
  const profile = JSON.stringify({
    defaultAction: "SCMP_ACT_ALLOW",
    syscalls: [
      { names: ["chmod"], action: "SCMP_ACT_ERRNO", errnoRet: 13 },
      { names: ["mount"], action: "SCMP_ACT_ERRNO", excludes: { caps: ["CAP_SYS_ADMIN"] } },
      { names: ["x"], action: "SCMP_ACT_ERRNO", includes: { arches: ["arm64"] } },
      { names: ["y"], action: "SCMP_ACT_ERRNO", includes: { minKernel: "7.0" } },
    ],
  });
  const found = customSeccomp(profile, machine, []);
  if (isRefusal(found)) throw new Error(found.message);
  expect(found.syscalls.map(({ names }) => names)).toEqual([["chmod"], ["mount"]]);
  expect(found.architectures).toContain("SCMP_ARCH_X86_64");
  expect(customSeccomp("{", machine, [])).toMatchObject({ code: "invalid-argument" });
});

const files = {
  passwd: "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34::/srv:/bin/sh\nbad\nx:x:-1:0::/:\n",
  group: "root:x:0:\nwww:x:34:\nlogs:x:50:web,root\n",
};
test.each([
  ["", [], { uid: 0, gid: 0, groups: [50], home: "/root" }],
  ["web", [], { uid: 33, gid: 34, groups: [50], home: "/srv" }],
  ["33", ["7", "logs"], { uid: 33, gid: 34, groups: [50, 7], home: "/srv" }],
  ["web:logs", [], { uid: 33, gid: 50, groups: [], home: "/srv" }],
  ["1234", [], { uid: 1234, gid: 0, groups: [], home: "/" }],
  ["1234:99", [], { uid: 1234, gid: 99, groups: [], home: "/" }],
  ["nobody", [], "unable to find user nobody: no matching entries in passwd file"],
  ["web:none", [], "unable to find group none: no matching entries in group file"],
  ["web", ["none"], "Unable to find group none"],
  ["4294967295", [], "unable to find user 4294967295: no matching entries in passwd file"],
])("user %j with groups %j", (name, groups, want) => {
  expect(findUser(name, groups, files)).toEqual(want);
});

test("an image without users has root", () => {
  expect(findUser("", [], { passwd: "", group: "" })).toEqual({
    ...{ uid: 0, gid: 0, groups: [], home: "/" },
  });
});

test("sysctls: the machine's are refused, the network's only with one's own network", () => {
  expect(sysctlsOf({ "kernel.shmmax": "1" }, false)).toEqual({ "kernel.shmmax": "1" });
  expect(sysctlsOf({ "vm.swappiness": "1" }, true)).toMatchObject({
    message: 'sysctl "vm.swappiness" is not in a separate kernel namespace: unknown',
  });
  expect(sysctlsOf({ "net.core.somaxconn": "1" }, false)).toMatchObject({
    message: 'sysctl "net.core.somaxconn" not allowed in host network namespace',
  });
  expect(sysctlsOf({ "net.ipv4.ip_unprivileged_port_start": "9" }, true)).toMatchObject({
    "net.ipv4.ip_unprivileged_port_start": "9",
    "net.ipv4.ping_group_range": "0 2147483647",
  });
});

test("limits, as each cgroup version takes them", () => {
  const limits = {
    ...{ ...EMPTY_SPEC.limits, memoryBytes: 100, nanoCpus: 1.5e9, pids: 7, cpuShares: 512 },
    ...{ memorySwappiness: 0, oomKillDisable: true },
  };
  expect(resourcesOf(limits, { version: 2, swap: true })).toMatchObject({
    cpu: { period: 100_000, quota: 150_000, shares: 512 },
    memory: { limit: 100, swap: 200 },
    pids: { limit: 7 },
  });
  const first = resourcesOf(limits, { version: 1, swap: false });
  expect(first["memory"]).toEqual({ limit: 100, swappiness: 0, disableOOMKiller: true });
  expect(Object.keys(resourcesOf(EMPTY_SPEC.limits, { version: 2, swap: true }))).toEqual([
    "devices",
  ]);
});

const mount = {
  ...{ kind: "bind" as const, source: "", target: "/d", readOnly: false, propagation: "" },
  ...{ recursive: true, createSource: false, noCopy: false, subpath: "", volumeDriver: "" },
  ...{ volumeOptions: {}, volumeLabels: {}, tmpfsBytes: 0, tmpfsMode: undefined },
  tmpfsOptions: [],
};
test("mounts: one's own take the place of ours, and what is deeper comes later", () => {
  const shm = { ...mount, kind: "tmpfs" as const, target: "/dev/shm/", tmpfsBytes: 5 };
  const deep = { ...mount, target: "/a/b/c", propagation: "rshared", readOnly: true };
  const points = [deep, { ...mount, target: "/a", recursive: false }, shm];
  const mountPoints = points.map((each) => ({ mount: each, source: "/src", name: "" }));
  const found = mountsOf({ shmBytes: 64, files: [], mountPoints });
  const at = (target: string) => found.findIndex(({ destination }) => destination === target);
  expect(at("/dev/shm")).toBe(-1);
  expect(found[at("/dev/shm/")]?.options).toContain("size=5");
  expect(at("/a")).toBeLessThan(at("/a/b/c"));
  expect(at("/dev")).toBeLessThan(at("/dev/shm/"));
  expect(found[at("/a")]?.options).toEqual(["bind", "rprivate", "rw"]);
  expect(found[at("/a/b/c")]?.options).toEqual(["rbind", "rshared", "ro"]);
  expect(rootPropagation(mountPoints)).toBe("shared");
  expect(rootPropagation([])).toBeUndefined();
});

test("the spec has Docker's namespaces; a machine's network is not one of them", () => {
  const types = (more: Partial<SpecWish>) => {
    const spec = containerSpecOf({ ...wish, ...more });
    if (isRefusal(spec)) throw new Error(spec.message);
    const { namespaces } = spec["linux"] as { namespaces: { type: string; path?: string }[] };
    return namespaces.map(({ type, path = "" }) => type + path).join(" ");
  };
  expect(types({})).toBe("pid ipc uts mount network/run/netns/n cgroup");
  expect(types({ netns: undefined, support: { version: 1, swap: false } })).toBe(
    "pid ipc uts mount",
  );
  expect(types({ netns: undefined, machineNetns: "/m" })).toBe(
    "pid ipc uts mount network/m cgroup",
  );
});

test("the process: init before the command, limits without end as their number", () => {
  const ulimits = [{ name: "core", soft: -1, hard: -1 }];
  const spec = containerSpecOf({ ...wish, spec: { ...wish.spec, init: true, ulimits } });
  if (isRefusal(spec)) throw new Error(spec.message);
  const text = specJson(spec).toString();
  expect(text).toContain('"args":["/sbin/docker-init","--","sleep","1"]');
  expect(text).toContain(
    '{"type":"RLIMIT_CORE","soft":18446744073709551615,"hard":18446744073709551615}',
  );
  expect(JSON.parse(text)["process"]["env"]).toContain("HOME=/root");
  const wrong = [{ name: "fly", soft: 1, hard: 1 }];
  expect(containerSpecOf({ ...wish, spec: { ...wish.spec, ulimits: wrong } })).toMatchObject({
    message: "invalid ulimit type: fly",
  });
});

test("an exec has the container's environment and place, without its init", () => {
  const exec = {
    ...{ command: ["id"], env: ["B=2"], workingDir: "", user: "", tty: false },
    ...{ attachStdin: false, attachStdout: true, attachStderr: true },
  };
  const spec = { ...wish.spec, init: true, env: ["A=1"], workingDir: "/w" };
  const process = execProcessOf(exec, { ...wish, spec });
  expect(process).toMatchObject({ args: ["id"], cwd: "/w" });
  expect((process as { env: string[] }).env).toEqual(expect.arrayContaining(["A=1", "B=2"]));
});

const CREATE = "failed to create shim task: OCI runtime create failed: runc create failed: ";
const START = `${CREATE}unable to start container process: `;
test.each([
  [`${START}exec: "x": executable file not found in $PATH: unknown`, 127],
  [`${START}exec: "/x": stat /x: no such file or directory: unknown`, 127],
  [`${START}exec: "/etc": is a directory: unknown`, 126],
  [`${START}exec: "/f": permission denied: unknown`, 126],
  [
    `${START}error during container init: error mounting "/x" to rootfs: no such file or directory`,
    128,
  ],
  [`${CREATE}sysctl "kernel.x" is not in a separate kernel namespace: unknown`, 128],
])("what runc says: %s", (text, exitCode) => {
  expect(startErrorOf(text)).toEqual({ exitCode, message: text });
});
