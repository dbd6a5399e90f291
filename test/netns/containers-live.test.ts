// `docker run` and what people do with a container afterwards: the real docker CLI, containerd and kernel.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Lab, type Result, until } from "./lab.js";

let lab: Lab;
const H = "h1";

beforeAll(async () => {
  lab = await Lab.up("run", 1);
  await lab.must("images", "alpine");
}, 120_000);
afterAll(() => lab?.down(), 60_000);

const docker = (...args: readonly string[]) => lab.docker(H, ...args);
const tried = (...args: readonly string[]): Promise<Result> => lab.on(H, "docker", ...args);
const inspect = (name: string, format: string) => docker("inspect", "-f", format, name);
const status = (name: string) => inspect(name, "{{.State.Status}}");

async function restartAgent(how: "kill" | "stop" = "kill"): Promise<void> {
  await (how === "kill" ? lab.must("kill", H, "agent") : lab.must("stop", H));
  await lab.must("start", H);
}

describe("docker run", () => {
  const shell = (line: string) => ["alpine", "sh", "-c", line];
  const cases: readonly {
    readonly flags: string;
    readonly command: readonly string[];
    readonly says: string | RegExp;
  }[] = [
    { flags: "-e A=1 -e B=2", command: shell("echo $A$B"), says: "12" },
    { flags: "--user 1000:1001", command: shell("id -u; id -g"), says: "1000\n1001" },
    { flags: "--workdir /tmp", command: ["alpine", "pwd"], says: "/tmp" },
    { flags: "--hostname web.example", command: ["alpine", "hostname"], says: "web.example" },
    { flags: "--entrypoint echo", command: ["alpine", "a", "b"], says: "a b" },
    { flags: "-l a=b --init", command: shell("cat /proc/1/comm"), says: "docker-init" },
    { flags: "--read-only", command: shell("touch /x || echo no"), says: "no" },
    {
      flags: "--tmpfs /t:size=1m",
      command: shell("df /t | tail -1"),
      says: /^tmpfs +1024 /,
    },
    { flags: "--shm-size 32m", command: shell("df /dev/shm | tail -1"), says: /^shm +32768 / },
    { flags: "--ulimit nofile=99:200", command: shell("ulimit -n"), says: "99" },
    {
      flags: "--sysctl net.ipv4.ip_forward=1",
      command: ["alpine", "cat", "/proc/sys/net/ipv4/ip_forward"],
      says: "1",
    },
    {
      flags: "--cap-drop ALL --cap-add NET_RAW",
      command: ["alpine", "grep", "CapEff", "/proc/self/status"],
      says: "CapEff:\t0000000000002000",
    },
    {
      flags: "--security-opt no-new-privileges",
      command: ["alpine", "grep", "-E", "NoNewPrivs|Seccomp:", "/proc/self/status"],
      says: "NoNewPrivs:\t1\nSeccomp:\t2",
    },
    {
      flags: "--security-opt seccomp=unconfined",
      command: ["alpine", "grep", "Seccomp:", "/proc/self/status"],
      says: "Seccomp:\t0",
    },
    { flags: "--group-add 123", command: ["alpine", "id", "-G"], says: /\b123$/ },
    {
      flags: "--oom-score-adj 100",
      command: ["alpine", "cat", "/proc/self/oom_score_adj"],
      says: "100",
    },
    {
      flags: "-m 32m --cpus 0.5 --cpu-shares 512 --pids-limit 20",
      command: shell(
        "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>&1 | grep 3355",
      ),
      says: "33554432",
    },
    {
      flags: "--dns 192.0.2.53 --dns-search x.test --dns-option ndots:2",
      command: ["alpine", "cat", "/etc/resolv.conf"],
      says: "nameserver 192.0.2.53\nsearch x.test\noptions ndots:2",
    },
    {
      flags: "--add-host far:192.0.2.9",
      command: ["alpine", "grep", "far", "/etc/hosts"],
      says: "192.0.2.9\tfar",
    },
    { flags: "--log-driver none", command: ["alpine", "echo", "x"], says: "x" },
    { flags: "-v /etc/passwd:/p:ro", command: ["alpine", "head", "-c4", "/p"], says: "root" },
    { flags: "--network none", command: shell("ls /sys/class/net"), says: "lo" },
    { flags: "--runtime process", command: ["any", "echo", "host"], says: "host" },
  ];
  for (const { flags, command, says } of cases) {
    test(flags, async () => {
      const result = await tried("run", "--rm", ...flags.split(" "), ...command);
      expect(result.code, result.stderr).toBe(0);
      if (typeof says === "string") expect(result.stdout.trim()).toBe(says);
      else expect(result.stdout.trim()).toMatch(says);
    });
  }

  const refusals = [
    [
      ["--privileged", "alpine", "true"],
      125,
      "privileged mode (HostConfig.Privileged) is not part",
    ],
    [["--device", "/dev/null", "alpine", "true"], 125, "giving devices (HostConfig.Devices)"],
    [["--pid", "host", "alpine", "true"], 125, "a PID mode (HostConfig.PidMode)"],
    [["-m", "1m", "alpine", "true"], 125, "Minimum memory limit allowed is 6MB"],
    [["--cpus", "999", "alpine", "true"], 125, "range of CPUs is from 0.01 to"],
    [
      ["--mount", "type=bind,source=/nosuch,target=/x", "alpine", "true"],
      125,
      'invalid mount config for type "bind": bind source path does not exist: /nosuch',
    ],
    [["alpine", "nosuch"], 127, 'exec: "nosuch": executable file not found in $PATH'],
    [["alpine", "/etc"], 126, "permission denied"],
    [["--restart", "always", "alpine", "true"], 125, "--rm"],
    [["alpine", "sh", "-c", "exit 7"], 7, ""],
  ] as const;
  for (const [args, code, says] of refusals) {
    test(`${args.join(" ")} ends with ${code}`, async () => {
      const result = await tried("run", "--rm", ...args);
      expect(result.code, result.stderr).toBe(code);
      expect(result.stderr).toContain(says);
      expect(await docker("ps", "-aq")).toBe("");
    });
  }
});

test("a life: logs, exec, pause, rename, restart, kill, wait, events", async () => {
  await docker(
    "run",
    "-d",
    "--name",
    "one",
    "alpine",
    "sh",
    "-c",
    "echo out; echo err >&2; sleep 1d",
  );
  await until("it has said so", async () => (await tried("logs", "one")).stderr === "err\n");
  expect(await docker("logs", "--tail", "1", "-t", "one")).toMatch(/^\d{4}-.*Z (out)?$|^$/);
  expect((await tried("exec", "one", "sh", "-c", "exit 4")).code).toBe(4);
  await docker("pause", "one");
  expect(await docker("ps", "--format", "{{.Status}}")).toMatch(/\(Paused\)$/);
  expect((await tried("exec", "one", "true")).stderr).toContain("is paused, unpause the container");
  await docker("unpause", "one");
  await docker("rename", "one", "two");
  expect(await docker("top", "two")).toContain("sleep 1d");
  expect(await docker("stats", "--no-stream", "--format", "{{.Name}} {{.PIDs}}", "two")).toMatch(
    /^two [12]$/,
  );
  await docker("restart", "-t", "1", "two");
  const exited = docker("wait", "two");
  await docker("kill", "two");
  expect(await exited).toBe("137");
  expect(await docker("ps", "-a", "--format", "{{.Names}} {{.State}}")).toBe("two exited");
  await docker("rm", "two");
});

test("cp, in and out, of one that runs and of one that does not", async () => {
  await docker("run", "-d", "--name", "cp", "alpine", "sleep", "1d");
  await docker("exec", "cp", "sh", "-c", "mkdir /d && echo kept > /d/f");
  for (const state of ["running", "exited"]) {
    const into = `${lab.folder(H)}/copied-${state}`;
    await docker("cp", "cp:/d", into);
    expect(await lab.ok(H, "cat", `${into}/f`)).toBe("kept");
    await docker("cp", `${into}/f`, `cp:/d/${state}`);
    await docker("stop", "-t", "0", "cp");
  }
  await docker("start", "cp");
  expect(await docker("exec", "cp", "ls", "/d")).toBe("exited\nf\nrunning");
  expect((await tried("cp", "cp:/nosuch", "-")).stderr).toMatch(
    // The second is what series 20.10 of the client says of it.
    /Could not find the file \/nosuch in container cp|No such container:path: cp:\/nosuch/,
  );
  await docker("rm", "-f", "cp");
});

describe("volumes", () => {
  test("named ones stay and are kept from removal, nameless ones go with --rm", async () => {
    await docker("run", "--rm", "-v", "data:/data", "-v", "/anon", "alpine", "touch", "/data/f");
    expect(await docker("volume", "ls", "-q")).toBe("data");
    await docker("run", "-d", "--name", "user", "-v", "data:/data", "alpine", "sleep", "1d");
    expect((await tried("volume", "rm", "data")).stderr).toContain("volume is in use - [");
    expect(await docker("exec", "user", "ls", "/data")).toBe("f");
    expect(await docker("ps", "-q", "--filter", "volume=data")).not.toBe("");
    await docker("rm", "-f", "user");
    await docker("volume", "prune", "-f");
    // A client of an API before 1.42 (series 20.10) means named ones too.
    const [, minor] = (await docker("version", "-f", "{{.Client.APIVersion}}")).split(".");
    const left = Number(minor) < 42 ? "" : "data";
    expect(await docker("volume", "ls", "-q")).toBe(left);
    if (left !== "") await docker("volume", "rm", "data");
  });

  test("a new one begins with what the image has there", async () => {
    await docker("run", "--rm", "-v", "etc:/etc", "alpine", "true");
    const source = await docker("volume", "inspect", "-f", "{{.Mountpoint}}", "etc");
    expect(await lab.ok(H, "cat", `${source}/passwd`)).toContain("root:x:0:0:");
    await docker("volume", "rm", "etc");
  });

  test("a tmpfs one is mounted while it is used", async () => {
    const options = ["--opt", "type=tmpfs", "--opt", "device=tmpfs", "--opt", "o=size=1m"];
    await docker("volume", "create", ...options, "fast");
    const shown = await docker("run", "--rm", "-v", "fast:/x", "alpine", "df", "/x");
    expect(shown).toMatch(/^tmpfs +1024 /m);
    await docker("volume", "rm", "fast");
    const mounts = await lab.ok(H, "cat", "/proc/self/mounts");
    expect(mounts).not.toContain("/volumes/fast/");
  });
});

describe("networks", () => {
  test("a published port is reached, said, and taken once", async () => {
    const serve = ["alpine", "sh", "-c", "while true; do echo hi | nc -l -p 80; done"];
    await docker("run", "-d", "--name", "web", "-p", "8080:80", ...serve);
    expect(await docker("port", "web")).toBe("80/tcp -> 0.0.0.0:8080");
    const clash = await tried("run", "--rm", "-p", "8080:80", "alpine", "true");
    expect(clash.stderr).toContain("Bind for 0.0.0.0:8080 failed: port is already allocated");
    await docker("rm", "-f", "web");
  });

  test("a running container is connected to another network, and disconnected", async () => {
    await docker("network", "create", "side");
    await docker("run", "-d", "--name", "both", "alpine", "sleep", "1d");
    const interfaces = () => docker("exec", "both", "ls", "/sys/class/net");
    await docker("network", "connect", "side", "both");
    expect(await interfaces()).toBe("eth0\neth1\nlo");
    await docker("network", "disconnect", "side", "both");
    expect(await interfaces()).toBe("eth0\nlo");
    expect((await tried("network", "disconnect", "side", "both")).stderr).toContain(
      "is not connected to network side",
    );
    await docker("rm", "-f", "both");
    await docker("network", "rm", "side");
  });
});

describe("health checks", () => {
  test("make it unhealthy, then healthy, and say what they saw", async () => {
    const check = [
      "--health-cmd",
      "cat /ok",
      "--health-interval",
      "200ms",
      "--health-retries",
      "2",
    ];
    await docker("run", "-d", "--name", "ill", ...check, "alpine", "sleep", "1d");
    const health = () => inspect("ill", "{{.State.Health.Status}}");
    await until("it is unhealthy", async () => (await health()) === "unhealthy");
    expect(await inspect("ill", "{{json .State.Health.Log}}")).toContain("No such file");
    await docker("exec", "ill", "touch", "/ok");
    await until("it is healthy", async () => (await health()) === "healthy");
    expect(await docker("ps", "--filter", "health=healthy", "--format", "{{.Status}}")).toMatch(
      /\(healthy\)$/,
    );
    await docker("rm", "-f", "ill");
  });
});

describe("when the agent is killed", () => {
  test("containers run on, with their addresses and ports, and are attached to again", async () => {
    await docker("run", "-d", "--name", "on", "-p", "8090:80", "alpine", "sh", "-c", COUNT);
    const before = await inspect("on", "{{.State.Pid}} {{.NetworkSettings.IPAddress}}");
    await restartAgent();
    expect(await inspect("on", "{{.State.Pid}} {{.NetworkSettings.IPAddress}}")).toBe(before);
    expect(await docker("port", "on")).toBe("80/tcp -> 0.0.0.0:8090");
    expect(await docker("exec", "on", "echo", "still")).toBe("still");
    const lines = (await docker("logs", "on")).split("\n").length;
    await until(
      "its log grows",
      async () => (await docker("logs", "on")).split("\n").length > lines,
    );
    await docker("rm", "-f", "on");
  });

  test("an exit in between keeps its code", async () => {
    await docker("run", "-d", "--name", "ends", "alpine", "sh", "-c", "sleep 1; exit 9");
    await lab.must("kill", H, "agent");
    await new Promise((wake) => setTimeout(wake, 1_500));
    await lab.must("start", H);
    expect(await docker("wait", "ends")).toBe("9");
    expect(await docker("ps", "-a", "--format", "{{.Status}}")).toMatch(/^Exited \(9\)/);
    await docker("rm", "ends");
  });

  test("restart rules hold: crashed ones come again, those that a person stopped as the rule says", async () => {
    const names = ["always", "unless-stopped", "no"];
    for (const rule of names) {
      await docker("run", "-d", "--name", `r-${rule}`, "--restart", rule, "alpine", "sleep", "1d");
      await docker("stop", "-t", "0", `r-${rule}`);
    }
    await docker("run", "-d", "--name", "r-crash", "--restart", "always", "alpine", "sleep", "1d");
    const pid = await inspect("r-crash", "{{.State.Pid}}");
    await lab.must("kill", H, "agent");
    await lab.ok(H, "kill", "-9", pid);
    await lab.must("start", H);
    await until("always is back", async () => (await status("r-always")) === "running");
    await until("what crashed is back", async () => (await status("r-crash")) === "running");
    expect(await inspect("r-crash", "{{.State.Pid}}")).not.toBe(pid);
    expect(await status("r-unless-stopped")).toBe("exited");
    expect(await status("r-no")).toBe("exited");
    await docker("rm", "-f", ...names.map((rule) => `r-${rule}`), "r-crash");
  });

  test("a loop of crashes is slowed down, counted, and ended by a stop", async () => {
    await docker("run", "-d", "--name", "loop", "--restart", "always", "alpine", "false");
    await until("it was started again", async () => {
      return Number(await inspect("loop", "{{.RestartCount}}")) >= 3;
    });
    await until("it is shown to wait", async () =>
      /^Restarting \(1\)/.test(await docker("ps", "--format", "{{.Status}}")),
    );
    await until("it waits", async () => (await status("loop")) === "restarting");
    await docker("stop", "loop");
    expect(await status("loop")).toBe("exited");
    await docker("rm", "loop");
  });
});

const COUNT = "i=0; while true; do i=$((i+1)); echo $i; sleep 0.1; done";
