// The main job, as a new user does it: three machines joined into a swarm ping each other over an
// overlay network, driven by `skein` and by the real docker CLI.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Lab, run, until } from "./lab.js";

let lab: Lab;
const namespace = `skein-${process.env["SKEIN_TEST_PREFIX"] ?? ""}journey-build`;

beforeAll(async () => {
  await run("ip", ["netns", "del", namespace]);
  lab = await Lab.up("journey", 3);
});
afterAll(async () => {
  await run("ip", ["netns", "del", namespace]);
  await lab?.down();
});

describe("a first swarm, by skein", () => {
  test("init prints how to join, and join joins", async () => {
    const init = await lab.skein("h1", "swarm", "init", "--advertise-addr", "192.168.33.10");
    expect(init).toMatch(/^Swarm initialized: current node \([0-9a-z]{25}\) is now a manager\./);
    const command =
      /skein (swarm join --token (SWMTKN-1-[0-9a-z]{50}-[0-9a-z]{25}) 192\.168\.33\.10:2377)/.exec(
        init,
      );
    expect(command).not.toBeNull();
    const token = command?.[2] ?? "";
    for (const host of ["h2", "h3"]) {
      const joined = await lab.skein(host, "swarm", "join", "--token", token, "192.168.33.10:2377");
      expect(joined).toBe("This node joined a swarm as a worker.");
    }
    const nodes = await until("three nodes are ready", async () => {
      const lines = (
        await lab.skein(
          "h1",
          "node",
          "ls",
          "--format",
          "{{.Hostname}} {{.Status}} {{.Availability}} {{.ManagerStatus}}",
        )
      ).split("\n");
      return lines.every((line) => line.includes("Ready")) && lines;
    });
    expect(nodes.map((line) => line.trimEnd()).sort()).toEqual([
      "h1 Ready Active Leader",
      "h2 Ready Active",
      "h3 Ready Active",
    ]);
  });

  test("the first network gets 10.0.1.0/24 and VNI 4097", async () => {
    const id = await lab.skein(
      "h1",
      "network",
      "create",
      "-d",
      "overlay",
      "--attachable",
      "overnet",
    );
    expect(id).toMatch(/^[0-9a-z]{25}$/);
    const [network] = JSON.parse(await lab.skein("h1", "network", "inspect", "overnet"));
    expect(network.IPAM.Config).toEqual([{ Subnet: "10.0.1.0/24", Gateway: "10.0.1.1" }]);
    expect(network.Options["com.docker.network.driver.overlay.vxlanid_list"]).toBe("4097");
    expect(
      await lab.skein(
        "h1",
        "network",
        "ls",
        "--filter",
        "driver=overlay",
        "--format",
        "{{.Name}} {{.Scope}}",
      ),
    ).toBe("ingress swarm\novernet swarm");
  });

  test("a network is on no machine until something there is on it", async () => {
    const links = await lab.ok("h2", "ls", `${lab.folder("h2")}/run/netns`).catch(() => "");
    expect(links).not.toContain("net-4097");
  });

  test("this machine gets 10.0.1.2, a process on another 10.0.1.3", async () => {
    expect(await lab.skein("h1", "attach", "--network", "overnet")).toContain("10.0.1.2");
    const id = await lab.skein(
      "h2",
      "run",
      "-d",
      "--name",
      "web",
      "--network",
      "overnet",
      "--",
      "sleep",
      "infinity",
    );
    expect(id).toMatch(/^[0-9a-f]{64}$/);
    expect(
      await lab.skein("h2", "exec", "web", "ip", "-brief", "address", "show", "eth0"),
    ).toContain("10.0.1.3/24");
  });

  test("machine, process and namespace ping each other", async () => {
    expect(await lab.ok("h1", "ping", "-c", "2", "-W", "2", "10.0.1.3")).toContain(
      " 0% packet loss",
    );
    const ping = await lab.skein(
      "h3",
      "run",
      "--rm",
      "--network",
      "overnet",
      "--",
      "ping",
      "-c",
      "3",
      "10.0.1.3",
    );
    expect(ping).toContain(" 0% packet loss");
    await run("ip", ["netns", "add", namespace]);
    await lab.skein("h3", "attach", "--network", "overnet", "--netns", namespace);
    const inside = await run("ip", [
      "netns",
      "exec",
      namespace,
      "ping",
      "-c",
      "2",
      "-W",
      "2",
      "10.0.1.2",
    ]);
    expect(inside.stdout).toContain(" 0% packet loss");
  });

  test("on the wire it is UDP 4789 with VNI 4097", async () => {
    const capture = lab.start("h2", "tcpdump", "-lnni", "eth0", "udp port 4789");
    await until("tcpdump listens", () => capture.output().includes("listening on"));
    await lab.ok("h1", "ping", "-c", "3", "-i", "0.2", "10.0.1.3");
    await until(
      "the echo and its answer are seen",
      () =>
        /192\.168\.33\.10\.\d+ > 192\.168\.33\.11\.4789: VXLAN, flags \[I\] \(0x08\), vni 4097[\s\S]*10\.0\.1\.2 > 10\.0\.1\.3: ICMP echo request/.test(
          capture.output(),
        ) &&
        /192\.168\.33\.11\.\d+ > 192\.168\.33\.10\.4789: VXLAN[^\n]*vni 4097[\s\S]*10\.0\.1\.3 > 10\.0\.1\.2: ICMP echo reply/.test(
          capture.output(),
        ),
    ).finally(() => capture.stop());
  });

  test("frames of full inner MTU cross, and not a byte more", async () => {
    expect(
      await lab.ok("h1", "ping", "-c", "1", "-M", "do", "-s", String(1450 - 28), "10.0.1.3"),
    ).toContain(" 0% packet loss");
    expect(
      (
        await lab.on(
          "h1",
          "ping",
          "-c",
          "1",
          "-W",
          "1",
          "-M",
          "do",
          "-s",
          String(1451 - 28),
          "10.0.1.3",
        )
      ).code,
    ).not.toBe(0);
  });

  test("skein ping measures every pair", async () => {
    const matrix = await lab.on("h1", "skein", "ping", "overnet", "--count", "2");
    expect(matrix.stderr).toBe("");
    expect(matrix.code).toBe(0);
    expect(matrix.stdout).toContain("web");
  });

  test("inspect names containers here and peers", async () => {
    const [network] = JSON.parse(await lab.skein("h2", "network", "inspect", "overnet"));
    const containers = Object.values(network.Containers) as {
      Name: string;
      IPv4Address: string;
      MacAddress: string;
    }[];
    expect(containers.find((container) => container.Name === "web")).toMatchObject({
      IPv4Address: "10.0.1.3/24",
      MacAddress: "02:42:0a:00:01:03",
    });
    expect(network.Peers.map((peer: { IP: string }) => peer.IP).sort()).toEqual([
      "192.168.33.10",
      "192.168.33.11",
      "192.168.33.12",
    ]);
  });

  test("ps, logs, exec, stop and rm do what they say", async () => {
    expect(await lab.skein("h2", "ps", "--format", "{{.Names}} {{.Status}}")).toMatch(/^web Up /);
    await lab.skein("h2", "run", "--name", "talk", "--network", "overnet", "--", "echo", "hello");
    expect(await lab.skein("h2", "logs", "talk")).toBe("hello");
    expect((await lab.on("h2", "skein", "exec", "web", "sh", "-c", "exit 7")).code).toBe(7);
    expect(await lab.skein("h2", "rm", "talk")).toBe("talk");
    expect(await lab.skein("h2", "stop", "-t", "1", "web")).toBe("web");
    expect(await lab.skein("h2", "rm", "web")).toBe("web");
    expect(await lab.skein("h2", "ps", "-aq")).toBe("");
  });

  test("a network in use cannot be removed, and the message names what uses it", async () => {
    const refused = await lab.on("h1", "skein", "network", "rm", "overnet");
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/in use/);
    expect(refused.stderr).toMatch(new RegExp(`${namespace}|h1|h3`));
  });

  test("detached and removed, nothing of the network is left on any machine", async () => {
    await lab.skein("h1", "detach", "overnet");
    await lab.skein("h3", "detach", "overnet");
    await lab.skein("h1", "network", "rm", "overnet");
    for (const { name } of lab.hosts) {
      await until(`${name} has withdrawn the network`, async () => {
        const left = await lab.on(name, "ls", `${lab.folder(name)}/run/netns`);
        return left.code !== 0 || left.stdout.trim() === "";
      });
      expect(await lab.ok(name, "ip", "-brief", "link")).not.toMatch(/vxlan|sk-|v-/);
    }
    expect((await run("ip", ["-n", namespace, "-brief", "link"])).stdout).not.toContain("eth0");
  });

  test("leaving gives the machine back", async () => {
    for (const host of ["h2", "h3"])
      expect(await lab.skein(host, "swarm", "leave")).toBe("Node left the swarm.");
    await until(
      "the workers are down",
      async () =>
        (await lab.skein(
          "h1",
          "node",
          "ls",
          "--filter",
          "role=worker",
          "--format",
          "{{.Status}}",
        )) === "Down\nDown",
    );
    const refused = await lab.on("h1", "skein", "swarm", "leave");
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain("last manager");
    expect(await lab.skein("h1", "swarm", "leave", "--force")).toBe("Node left the swarm.");
    expect(await lab.skein("h1", "info", "--format", "{{.Swarm.LocalNodeState}}")).toBe("inactive");
  });
});

describe("the same by the real docker CLI", () => {
  test("swarm, node, network, info and version", async () => {
    expect(await lab.docker("h1", "swarm", "init", "--advertise-addr", "192.168.33.10")).toContain(
      "docker swarm join --token SWMTKN-1-",
    );
    const token = await lab.docker("h1", "swarm", "join-token", "-q", "manager");
    expect(await lab.docker("h2", "swarm", "join", "--token", token, "192.168.33.10:2377")).toBe(
      "This node joined a swarm as a manager.",
    );
    const workerToken = await lab.docker("h1", "swarm", "join-token", "-q", "worker");
    expect(
      await lab.docker("h3", "swarm", "join", "--token", workerToken, "192.168.33.11:2377"),
    ).toBe("This node joined a swarm as a worker.");
    await until("h2 is reachable", async () =>
      (await lab.docker("h1", "node", "ls")).match(/h2 +Ready +Active +Reachable/),
    );
    expect(
      await lab.docker(
        "h1",
        "node",
        "update",
        "--label-add",
        "disk=ssd",
        "--availability",
        "drain",
        "h3",
      ),
    ).toBe("h3");
    expect(
      await lab.docker(
        "h2",
        "node",
        "inspect",
        "h3",
        "--format",
        "{{.Spec.Labels.disk}} {{.Spec.Availability}}",
      ),
    ).toBe("ssd drain");
    expect(
      await lab.docker("h1", "network", "create", "-d", "overlay", "--attachable", "overnet"),
    ).toMatch(/^[0-9a-z]{25}$/);
    expect(
      await lab.docker(
        "h2",
        "network",
        "ls",
        "--filter",
        "name=overnet",
        "--format",
        "{{.Name}} {{.Driver}} {{.Scope}}",
      ),
    ).toBe("overnet overlay swarm");
    expect(
      await lab.docker(
        "h1",
        "network",
        "inspect",
        "--format",
        "{{(index .IPAM.Config 0).Subnet}}",
        "overnet",
      ),
    ).toBe("10.0.1.0/24");
    expect(
      await lab.docker(
        "h1",
        "info",
        "--format",
        "{{.Swarm.LocalNodeState}} {{.Swarm.Nodes}} {{.Swarm.Managers}}",
      ),
    ).toBe("active 3 2");
    expect(await lab.docker("h1", "version", "--format", "{{.Server.Os}}")).toBe("linux");
    expect(await lab.docker("h1", "network", "rm", "overnet")).toBe("overnet");
    expect(await lab.docker("h1", "node", "demote", "h2")).toBe("Manager h2 demoted in the swarm.");
    await until("h2 is a worker", async () =>
      (await lab.on("h2", "docker", "node", "ls")).stderr.includes(
        "This node is not a swarm manager",
      ),
    );
    for (const host of ["h3", "h2"]) await lab.docker(host, "swarm", "leave");
    await until("h3 is down", async () => (await lab.docker("h1", "node", "ls")).match(/h3 +Down/));
    expect(await lab.docker("h1", "node", "rm", "h3")).toBe("h3");
    await lab.docker("h1", "swarm", "leave", "--force");
  });
});
