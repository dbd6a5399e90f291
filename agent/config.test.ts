import { expect, test } from "vitest";
import { parseCommand } from "./config.js";

const run = (argv: string[], files: Record<string, string> = {}) =>
  parseCommand(argv, { hostname: "h1", readText: (path) => files[path] });

test("without flags or a file the defaults hold", () => {
  expect(run([])).toMatchObject({
    kind: "run",
    settings: {
      stateDir: "/var/lib/skein",
      socketPath: "/run/skein/skein.sock",
      hostname: "h1",
      group: "skein",
      managerUser: "skein",
      managerUnit: "",
    },
  });
});

test("a flag wins over the file, the file over the default", () => {
  const command = run(["--config", "/c", "--hostname", "flag"], {
    "/c": '{"hostname": "file", "run-dir": "/tmp/r", "time-scale": 2}',
  });
  expect(command).toMatchObject({
    settings: { hostname: "flag", runDir: "/tmp/r", socketPath: "/tmp/r/skein.sock", timeScale: 2 },
  });
  expect(command.kind === "run" && command.settings.timing.dialMs).toBe(8_000);
});

test("labels and resources may be given more than once, and a flag's list stands for the file's", () => {
  const argv = [
    "--config",
    "/c",
    "--label",
    "a=1",
    "--label",
    "b=x=y",
    "--generic-resource",
    "gpu=2",
  ];
  const command = run(argv, { "/c": '{"label": ["c=3"], "generic-resource": ["fpga=f1"]}' });
  expect(command).toMatchObject({
    settings: { labels: { a: "1", b: "x=y" }, genericResources: [{ kind: "gpu", value: 2 }] },
  });
});

const wrong: [string, string[], Record<string, string>, RegExp][] = [
  ["an unknown flag", ["--nope"], {}, /--nope/],
  ["a stray word", ["start"], {}, /start/],
  ["a missing file that was named", ["--config", "/c"], {}, /there is no \/c/],
  ["a file that is not JSON", ["--config", "/c"], { "/c": "{" }, /not JSON/],
  ["a file that is a list", ["--config", "/c"], { "/c": "[]" }, /one JSON object/],
  ["an unknown data path", ["--datapath", "fast"], {}, /--datapath must be one of auto, kernel/],
  ["an unknown key", ["--config", "/c"], { "/c": '{"x": "1"}' }, /unknown setting "x"/],
  ["a key of Object's own", ["--config", "/c"], { "/c": '{"toString": "1"}' }, /unknown setting/],
  ["a value of the wrong type", ["--config", "/c"], { "/c": '{"group": 1}' }, /must be a string/],
  ["a relative folder", ["--state-dir", "x"], {}, /absolute/],
  ["an unknown level", ["--log-level", "loud"], {}, /one of trace/],
  ["a scale of zero", ["--time-scale", "0"], {}, /1 to 100/],
  ["a name with a space", ["--hostname", "a b"], {}, /printable/],
  ["a namespace of blanks", ["--containerd-namespace", "a b"], {}, /containerd-namespace/],
  ["a containerd that is no path", ["--containerd", "tcp:x"], {}, /absolute path/],
  ["a label without a key", ["--label", "=x"], {}, /KEY=VALUE/],
  ["a resource without a value", ["--generic-resource", "gpu"], {}, /KIND=NUMBER/],
  ["labels that are no list", ["--config", "/c"], { "/c": '{"label": [1]}' }, /list of strings/],
  ["a metrics address without a port", ["--metrics-addr", "127.0.0.1"], {}, /address and port/],
];
for (const [name, argv, files, message] of wrong) {
  test(`${name} is refused with a sentence`, () => {
    const command = run(argv, files);
    expect(command.kind).toBe("wrong");
    expect(command.kind === "wrong" && command.message).toMatch(message);
  });
}

test("--help and --version win over everything else", () => {
  expect(run(["--help", "--log-level", "loud"]).kind).toBe("help");
  expect(run(["--version"]).kind).toBe("version");
});
