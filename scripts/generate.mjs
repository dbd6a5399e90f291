// Writes proto/gen/*.ts from proto/*.proto: plain readonly types, codecs and gRPC definitions.
// It does nothing when the output is newer than every input, so that a second build is quick.
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const proto = join(root, "proto");
const out = join(proto, "gen");
const stamp = join(out, ".stamp");

const newest = (files) => Math.max(...files.map((file) => statSync(file).mtimeMs));
const inputs = readdirSync(proto, { recursive: true })
  .filter((name) => name.endsWith(".proto"))
  .map((name) => join(proto, name));
inputs.push(fileURLToPath(import.meta.url), join(root, "package-lock.json"));

const stampTime = statSync(stamp, { throwIfNoEntry: false })?.mtimeMs ?? 0;
if (stampTime < newest(inputs)) {
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  const options = [
    "forceLong=number",
    "oneof=unions-value",
    "esModuleInterop=true",
    "importSuffix=.js",
    "outputServices=grpc-js",
    "env=node",
    "useReadonlyTypes=true",
    "removeEnumPrefix=true",
    "useExactTypes=false",
    "outputJsonMethods=false",
    "outputTypeAnnotations=false",
    "annotateFilesWithVersion=false",
  ];
  const template = {
    version: "v2",
    inputs: [{ directory: proto }],
    plugins: [{ local: join(root, "node_modules/.bin/protoc-gen-ts_proto"), out, opt: options }],
  };
  const run = spawnSync(
    join(root, "node_modules/.bin/buf"),
    ["generate", "--template", JSON.stringify(template)],
    { cwd: root, stdio: "inherit" },
  );
  if (run.status !== 0) process.exit(run.status ?? 1);
  writeFileSync(stamp, "");
  const now = new Date();
  utimesSync(stamp, now, now);
}
