// Finds the file to execute as execvp(3) would, so that "not there" and "not executable" are told apart
// before anything runs, in the words and with the exit codes of Docker.
import { accessSync, constants, statSync } from "node:fs";
import { join, resolve } from "node:path";

// The shell's codes, which Docker kept: POSIX XCU 2.8.2, "Exit Status for Commands".
const EXIT_NOT_FOUND = 127;
export const EXIT_NOT_EXECUTABLE = 126;

export type Lookup =
  | { readonly kind: "found"; readonly path: string }
  | { readonly kind: "failed"; readonly exitCode: number; readonly message: string };

export function lookUp(command: string, path: string, workingDir: string): Lookup {
  if (!isDirectory(workingDir)) {
    const message = `chdir to cwd ("${workingDir}") failed: no such file or directory`;
    return { kind: "failed", exitCode: EXIT_NOT_FOUND, message };
  }
  const quoted = `exec: "${command}"`;
  if (command.includes("/")) {
    const file = command.startsWith("/") ? command : join(workingDir, command);
    const problem = problemOf(file);
    if (problem === undefined) return { kind: "found", path: file };
    const exitCode = problem === "no such file or directory" ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
    return { kind: "failed", exitCode, message: `${quoted}: ${problem}` };
  }
  let denied = false;
  for (const folder of command === "" ? [] : path.split(":")) {
    // An empty or relative folder of PATH counts from the working directory (execvp(3)).
    const candidate = resolve(workingDir, folder, command);
    const problem = problemOf(candidate);
    if (problem === undefined) return { kind: "found", path: candidate };
    if (problem === "permission denied") denied = true;
  }
  if (denied) {
    return {
      kind: "failed",
      exitCode: EXIT_NOT_EXECUTABLE,
      message: `${quoted}: permission denied`,
    };
  }
  const message = `${quoted}: executable file not found in $PATH`;
  return { kind: "failed", exitCode: EXIT_NOT_FOUND, message };
}

function problemOf(file: string): string | undefined {
  try {
    // A folder can be "executed" too, in access(2)'s sense.
    if (statSync(file).isDirectory()) return "is a directory";
    accessSync(file, constants.X_OK);
    return undefined;
  } catch (error) {
    const denied = error instanceof Error && "code" in error && error.code === "EACCES";
    return denied ? "permission denied" : "no such file or directory";
  }
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}
