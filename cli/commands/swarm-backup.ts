// skein swarm backup, restore. The key is shown once and read from the terminal or standard input: never from
// arguments or the environment, which other users of the machine can see.
import { lstat, readFile, rm } from "node:fs/promises";
import { Readable } from "node:stream";
import { countsOf, decodeBackup } from "../../common/backup-file.js";
import { readIfThere, replaceFile } from "../../common/durable-files.js";
import { isRefusal } from "../../common/fault.js";
import type { SwarmBackup } from "../../proto/gen/store.js";
import { type Cli, Failure } from "../cli.js";
import type { Handler } from "../command.js";
import { fileWords } from "../file-words.js";
import { flag, number, parseJson, text } from "../json.js";
import { withProgress } from "../term/progress.js";
import { askSecret } from "../term/prompt.js";

export const backup: Handler = async (cli, { args, flags }) => {
  const path = args[0] ?? "";
  // To others' commands it means standard output, which cannot be read back, and where the key is shown.
  if (path === "-") throw new Failure("a backup is written to a file; for one named - say ./-");
  if (flags.bool("verify")) {
    const read = await verified(cli, path);
    cli.out.write(`${path} is whole and reads back: ${describe(read)}.\n`);
    return 0;
  }
  if (!flags.bool("force") && (await isThere(path))) {
    throw new Failure(
      `${path} is there already, and its key would not open the new one; --force replaces it`,
    );
  }
  const made = await withProgress(cli, "Making a backup", cli.api.post("/skein/v1/backup"));
  const key = text(made, "Key");
  await write(path, Buffer.from(text(made, "File"), "base64"), key);
  if (flags.bool("quiet")) {
    cli.out.write(`${key}\n`);
    return 0;
  }
  cli.out.write(
    `The swarm (${text(made, "ClusterID")}), up to entry ${number(made, "Index")}, is in ${path}, which was read back and verified.\n` +
      "To read it, provide the following key:\n\n" +
      `    ${key}\n\n` +
      "Remember to store this key in a password manager, and not beside the file: it is kept\n" +
      "nowhere else, and without it the backup cannot be restored.\n",
  );
  return 0;
};

export const restore: Handler = async (cli, { args, flags }) => {
  const path = args[0] ?? "";
  const { file, key, content } = await opened(cli, path);
  const answer = await withProgress(
    cli,
    "Restoring the swarm",
    cli.api.stream("POST", "/skein/v1/restore", {
      content: Readable.from([Buffer.from(`${key}\n`), file]),
      headers: { "Content-Type": "application/octet-stream" },
      query: {
        advertiseAddr: flags.text("advertise-addr"),
        listenAddr: flags.text("listen-addr"),
        dataPathAddr: flags.text("data-path-addr"),
        node: flags.text("node"),
      },
    }),
  );
  const chunks: Buffer[] = [];
  for await (const chunk of answer) chunks.push(Buffer.from(chunk));
  const restored = parseJson(Buffer.concat(chunks).toString("utf8"));
  const as = flag(restored, "New")
    ? "a node that the backup does not have"
    : "the node that it was";
  cli.out.write(
    `Restored ${describe(content)}.\n` +
      `This node (${text(restored, "NodeID")}), ${as}, is its only manager; the other nodes are down until they\n` +
      "are heard. Add managers again with 'skein node promote NODE'.\n",
  );
  return 0;
};

async function verified(cli: Cli, path: string): Promise<SwarmBackup> {
  return (await opened(cli, path)).content;
}

async function opened(cli: Cli, path: string) {
  const file = await readFile(path).catch((error: unknown) => {
    throw new Failure(`error reading ${path}: ${fileWords(error)}`);
  });
  const key = (await askSecret(cli, "Enter backup key: ")).trim();
  const content = decodeBackup(key, file);
  if (isRefusal(content)) throw new Failure(`${path}: ${content.message}. Nothing was changed.`);
  return { file, key, content };
}

/** What cannot be read back is not left there to be relied on. */
async function write(path: string, file: Buffer, key: string): Promise<void> {
  try {
    await replaceFile(path, file, 0o600);
  } catch (error) {
    throw new Failure(`error writing ${path}: ${fileWords(error)}`);
  }
  const back = await readIfThere(path);
  const read = back === undefined ? undefined : decodeBackup(key, back);
  if (back?.equals(file) && read !== undefined && !isRefusal(read)) return;
  await rm(path, { force: true });
  throw new Failure(
    `${path} does not read back as it was written, and was removed: is the disk failing?`,
  );
}

/** Not opened for that: it may be a pipe. */
async function isThere(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return false;
    throw new Failure(`error reading ${path}: ${fileWords(error)}`);
  }
}

function describe(content: SwarmBackup): string {
  const { nodes, networks, services } = countsOf(content);
  const when = new Date(content.madeAtMs).toISOString();
  const counts = `${count(nodes, "node")}, ${count(networks, "network")}, ${count(services, "service")}`;
  return `swarm ${content.clusterId} of ${when}, up to entry ${content.index}, with ${counts}`;
}

function count(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? "" : "s"}`;
}
