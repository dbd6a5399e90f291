// Holds the dependency rules of docs/architecture.md: which folder may import which, and no cycles.
// They decay silently when nobody looks, so a machine looks.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

type Kind = "common" | "proto" | "seams" | "core" | "loop" | "shell" | "main" | "cli" | "test";

const CORES = new Set([
  ...["raft", "store", "control", "ipam", "dispatch", "ca", "orchestrator", "scheduler"].map(
    (name) => `manager/${name}`,
  ),
  ...[
    "reconcile",
    "overlay",
    "netlink",
    "assignments",
    "member",
    "task",
    "dns",
    "guard",
    "balance",
    "reach",
    "oci",
    "localnet",
    "bpf",
  ].map((name) => `agent/${name}`),
]);

/** What a file is, from its path alone; `undefined` for a folder that the rules do not know. */
function kindOf(path: string): Kind | undefined {
  const [process, concern] = path.split("/");
  if (/\.test\.ts$/.test(path) || process === "test" || process === "bench") return "test";
  if (process === "common" || process === "proto" || process === "cli") return process;
  if (process !== "manager" && process !== "agent") return undefined;
  if (concern === "seams.ts" || concern === "seams") return "seams";
  if (concern?.endsWith(".ts")) return "main";
  if (concern === "loops") return "loop";
  return CORES.has(`${process}/${concern}`) ? "core" : "shell";
}

const MAY_IMPORT: Record<Kind, readonly Kind[]> = {
  proto: ["proto"],
  common: ["common", "proto"],
  seams: ["common", "proto", "core", "seams"],
  core: ["common", "proto", "core", "seams"],
  loop: ["common", "proto", "core", "seams", "loop"],
  shell: ["common", "proto", "core", "seams", "shell"],
  main: ["common", "proto", "core", "seams", "loop", "shell", "main"],
  cli: ["common", "cli", "proto"],
  test: ["common", "proto", "core", "seams", "loop", "shell", "main", "cli", "test"],
};

// What a core must not touch: clocks, chance and the outside.
const FORBIDDEN_IN_CORE = [
  /\bDate\.now\(/,
  /\bnew Date\(\)/,
  /\bMath\.random\(/,
  /\bperformance\.now\(/,
  /\bsetTimeout\(/,
  /\bsetInterval\(/,
  /\basync\b/,
  /\bawait\b/,
  /from "node:(fs|net|http|https|tls|dgram|child_process|worker_threads|os|process|dns)/,
];

// Packages that are run or read, not imported.
const TOOLS = new Set([
  "@biomejs/biome",
  "@bufbuild/buf",
  "@types/node",
  "@types/tar-stream",
  "ts-proto",
  "typescript",
]);
const CALLED_BY_GENERATED_CODE = "@bufbuild/protobuf";

interface Source {
  readonly path: string;
  readonly text: string;
  readonly imports: readonly { readonly path: string; readonly typeOnly: boolean }[];
}

function read(): Source[] {
  const sources: Source[] = [];
  for (const top of ["common", "manager", "agent", "cli", "test", "bench"]) {
    for (const name of readdirSync(join(root, top), { recursive: true, encoding: "utf8" })) {
      if (!name.endsWith(".ts")) continue;
      const path = join(top, name).split(sep).join("/");
      const text = readFileSync(join(root, path), "utf8");
      sources.push({ path, text, imports: importsOf(path, text) });
    }
  }
  return sources;
}

function importsOf(path: string, text: string): Source["imports"] {
  const found = text.matchAll(/^(?:import|export)\s+(type\s+)?[^;"]*?from\s+"(\.[^"]+)"/gms);
  return [...found].map((match) => ({
    path: normalize(join(dirname(path), match[2] ?? "")).replace(/\.js$/, ".ts"),
    typeOnly: match[1] !== undefined,
  }));
}

const sources = read();

describe("the tree", () => {
  test("every file imports only what its kind may", () => {
    const wrong: string[] = [];
    for (const source of sources) {
      const kind = kindOf(source.path);
      if (kind === undefined) {
        wrong.push(`${source.path}: in no known folder`);
        continue;
      }
      for (const target of source.imports) {
        const targetKind = kindOf(target.path);
        if (targetKind === undefined || !MAY_IMPORT[kind].includes(targetKind)) {
          wrong.push(`${source.path} (${kind}) imports ${target.path} (${targetKind})`);
        }
        const [from] = source.path.split("/");
        const [to] = target.path.split("/");
        const processes = ["agent", "manager", "cli"];
        if (
          kind !== "test" &&
          from !== to &&
          processes.includes(from ?? "") &&
          processes.includes(to ?? "")
        ) {
          wrong.push(`${source.path} imports ${target.path}: they meet in proto/ and common/ only`);
        }
      }
    }
    expect(wrong).toEqual([]);
  });

  test("seams are taken from their one door, not from a family's own file", () => {
    const isFamily = (path: string) => /^(agent|manager)\/seams\//.test(path);
    const isDoor = (path: string) => /^(agent|manager)\/seams\.ts$/.test(path);
    const wrong = sources.flatMap(({ path, imports, text }) => [
      ...(isFamily(path) || isDoor(path) ? [] : imports.filter((each) => isFamily(each.path))).map(
        (target) => `${path} imports ${target.path}`,
      ),
      // Or a family would lead back to itself.
      ...(isFamily(path) ? imports.filter((each) => isDoor(each.path)) : []).map(
        (target) => `${path} imports ${target.path}`,
      ),
      ...(isFamily(path) && /^export (?:const|function|class|let)\b/m.test(text)
        ? [`${path} has more than types`]
        : []),
    ]);
    expect(wrong).toEqual([]);
  });

  test("a core has no clock, chance, promise or I/O", () => {
    const wrong: string[] = [];
    for (const source of sources) {
      if (kindOf(source.path) !== "core") continue;
      const code = source.text.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "");
      for (const pattern of FORBIDDEN_IN_CORE) {
        if (pattern.test(code)) wrong.push(`${source.path}: ${pattern.source}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  test("no imports go in a circle", () => {
    const edges = new Map(
      sources.map((source) => [
        source.path,
        source.imports.filter((target) => !target.typeOnly).map((target) => target.path),
      ]),
    );
    const done = new Set<string>();
    const circles: string[] = [];
    const visit = (path: string, trail: readonly string[]): void => {
      const start = trail.indexOf(path);
      if (start >= 0) {
        circles.push([...trail.slice(start), path].join(" → "));
        return;
      }
      if (done.has(path)) return;
      for (const target of edges.get(path) ?? []) visit(target, [...trail, path]);
      done.add(path);
    };
    for (const path of edges.keys()) visit(path, []);
    expect(circles).toEqual([]);
  });

  test("the rules know every folder that the tree has", () => {
    const folders = new Set(sources.map((source) => relative(".", dirname(source.path))));
    for (const core of CORES) {
      if (!folders.has(core)) continue;
      expect(kindOf(`${core}/x.ts`)).toBe("core");
    }
    expect(sources.length).toBeGreaterThan(10);
  });

  test("every package that package.json names is used, and docs/dependencies.md says what for", () => {
    const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
    const documented = readFileSync(join(root, "docs/dependencies.md"), "utf8");
    // `import … from "x"`, `import "x"`, and `import("x")`, which waits until it is needed.
    const importsPackage =
      /(?:^import |^(?:import|export|\}).* from |\bimport\()"((?:@[^/"]+\/)?[^./"][^/"]*)/gm;
    const packagesOf = (files: readonly Source[]) =>
      new Set(
        files.flatMap(({ text }) =>
          [...text.matchAll(importsPackage)].map((match) => match[1] ?? ""),
        ),
      );
    const shipped = packagesOf(sources.filter(({ path }) => kindOf(path) !== "test"));
    const all = packagesOf(sources);
    const wrong: string[] = [];
    for (const name of shipped) {
      if (!name.startsWith("node:") && !(name in manifest.dependencies)) {
        wrong.push(`a release would lack ${name}`);
      }
    }
    for (const name of Object.keys(manifest.dependencies)) {
      if (name !== CALLED_BY_GENERATED_CODE && !shipped.has(name)) {
        wrong.push(`no program imports ${name}`);
      }
    }
    for (const name of Object.keys(manifest.devDependencies)) {
      const typed = name.replace(/^@types\//, "");
      if (!TOOLS.has(name) && !all.has(typed)) wrong.push(`nothing imports ${name}`);
    }
    for (const name of Object.keys({ ...manifest.dependencies, ...manifest.devDependencies })) {
      if (!name.startsWith("@types/") && !documented.includes(`\`${name}\``)) {
        wrong.push(`docs/dependencies.md does not say what ${name} is for`);
      }
    }
    expect(wrong).toEqual([]);
  });
});
